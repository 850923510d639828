"""One model trained by several processes, of one machine or of many."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from skae._engine import RANKS, Ranks


@contextmanager
def across_processes(rows: str = "shards", *, timeout: float | None = None) -> Iterator[None]:
    """Let several processes fit one model together, which `torchrun` has started.

    Inside of the `with` block, `fit` trains one model on the rows of all processes, and each ends
    with the same model. Mean, range and covariance of the columns, gradients, losses of held-out
    rows and moments of codes are summed over the processes by `torch.distributed`, whose default
    group must be there: call ``torch.distributed.init_process_group()`` first. Outside of the block
    nothing is exchanged, whoever has started the process.

    Parameters
    ----------
    rows : {"shards", "shared"}, default="shards"
        Whether each process gives `fit` rows of its own, or all of them the same table, of which
        each takes its share. With "shared" each process has the whole table, best as a memory map,
        and batches are those of one process; so the model equals that of one process to rounding.
        With "shards" each process shuffles its own rows, and a batch has rows of all in the
        proportion of their numbers.
    timeout : float, default=None
        Seconds to wait for another process, which may have more to do. None is torch's own time: 30
        minutes on processors, 10 on GPUs.

    Raises
    ------
    RuntimeError
        If there is no process group.
    ValueError
        If `rows` is not as described. `fit` raises it on all processes if they have been given
        other parameters or columns than each other, or if the fit is not made of sums over rows:
        with penalties, ``normalization="batch"``, nested codes, ``loss="neighbors"``, adversarial
        or sparse autoencoders, those of texts, callbacks that listen to batches, `partial_fit` and
        `warm_start`. With "shards" also with missing cells, ``rotation="ica"``,
        ``n_components="auto"``, `groups`, tables of more than 2,000 columns or of fewer rows than
        half as many, and estimators with an autoencoder inside, such as detectors and imputers.
    skae.exceptions.LostRankError
        Raised by `fit` on all other processes, with its number, if one has failed or was killed.

    Notes
    -----
    `batch_size` is the number of rows in a step of all processes together. Small tables are not
    cross-validated; rows are held out as in large ones. Each process draws its own noise, dropout
    and variational codes, so such models agree with those of one process as two seeds do. Callbacks
    must be the same on all processes. Steps before the autoencoder in a pipeline know nothing of
    the other processes: fit them beforehand, or use ``rows="shared"``. Fits in threads or processes
    that joblib starts are not shared.

    Examples
    --------
    A group of this process alone; under ``torchrun --nproc-per-node 2`` the same lines make a group
    of two:

    >>> import os
    >>> import torch.distributed as dist
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.parallel import across_processes
    >>> start = {"rank": 0, "world_size": 1} if "RANK" not in os.environ else {}
    >>> dist.init_process_group("gloo", store=dist.HashStore(), **start)
    >>> with across_processes(rows="shared"):
    ...     model = AutoencoderTransformer(8, max_iter=2, random_state=0).fit(load_digits().data)
    >>> dist.destroy_process_group()
    >>> len(model.loss_curve_)
    2
    """
    if rows not in ("shards", "shared"):
        raise ValueError(
            f"`rows` must be 'shards' or 'shared'. Got {rows!r}. Use 'shards' where each process "
            "has rows of its own."
        )
    if not dist.is_available() or not dist.is_initialized():
        raise RuntimeError(
            "The default process group must be there. Got none. Start the script by torchrun, and "
            "call torch.distributed.init_process_group() before the block."
        )
    ranks = Ranks(shared=rows == "shared", timeout=timeout)
    token = RANKS.set(ranks)
    try:
        with ranks.stay():
            _check_modes(ranks.list_all(rows))
            yield
    finally:
        RANKS.reset(token)
        ranks.leave()


def _check_modes(modes: list[str]) -> None:
    if len(set(modes)) > 1:
        raise ValueError(
            f"`rows` must be the same on all processes. Got {', '.join(modes)}. Give all of them "
            "rows of their own, or all of them the same table."
        )
