"""Epochs as tasks of scikit-learn's callbacks."""

from collections.abc import Callable


class SklearnEpochTasks:
    """Pass each epoch of a fit to scikit-learn's callbacks.

    X is the table given by the user, with its column names. `fitted_attributes` is a function from
    a `TrainedModel` to the fitted attributes of the estimator.
    """

    def __init__(self, estimator, X, fitted_attributes: Callable):
        self.estimator, self.fitted_attributes = estimator, fitted_attributes
        # The target of an autoencoder is its input; scores are computed only if there is a target.
        self.data = {"X": X, "y": X, "metadata": {}}

    def begin_fit(self, max_epochs: int):
        self.fit_task = self.estimator._init_callback_context(max_subtasks=max_epochs)
        self.fit_task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin_epoch(self):
        self.epoch_task = self.fit_task.subcontext(task_name="epoch")
        self.epoch_task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_epoch(self, snapshot: Callable[[], object], losses: Callable[[], object]) -> bool:
        # Losses are cheaper than the fitted estimator that scikit-learn hands out. They cannot be
        # metadata, all of which is passed to scorers.
        self.epoch_task.loss_curves = losses
        is_wanted = self.epoch_task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted_attributes(snapshot()),
            **self.data,
        )
        # Tasks outlive the training, whose rows must not be kept in memory.
        del self.epoch_task.loss_curves
        return is_wanted

    def end_fit(self):
        """Close the task of the fit, once the estimator has its fitted attributes."""
        self.fit_task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes={}, **self.data
        )


def make_epoch_tasks(estimator, X, fitted_attributes: Callable) -> SklearnEpochTasks | None:
    """Return the connection to scikit-learn's callbacks, or None if there are none."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return SklearnEpochTasks(estimator, X, fitted_attributes)
