"""Training of one model by several processes, on one machine or many."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from skae._engine import RANKS, Ranks


@contextmanager
def across_processes(rows: str = "shards", *, timeout: float | None = None) -> Iterator[None]:
    """Fit one model with several processes, started by `torchrun`.

    A context manager. Inside the `with` block, `fit` trains one model on the rows of all processes,
    and all processes end with the same model. The mean, range and covariance of the columns,
    gradients, losses of held-out rows and moments of codes are summed over the processes by
    `torch.distributed`. Call ``torch.distributed.init_process_group()`` first. Outside the block,
    nothing is exchanged between processes.

    Parameters
    ----------
    rows : {"shards", "shared"}, default="shards"
        Whether each process passes its own rows to `fit` ("shards"), or all processes pass the same
        table ("shared"). With "shards", each process shuffles its own rows, and a batch contains
        rows of all processes in proportion to their numbers. With "shared", each process needs
        access to the whole table, preferably as a memory map, and takes its share of each batch.
        The batches are those of a single process, so the model is equal up to rounding.
    timeout : float, default=None
        Seconds to wait for another process. None is PyTorch's default: 30 minutes on CPUs, 10
        minutes on GPUs.

    Raises
    ------
    RuntimeError
        If there is no process group.
    ValueError
        If `rows` is not as described. `fit` raises this error on all processes if their parameters
        or columns differ, or if the fit does not consist of sums over rows: with penalties,
        ``normalization="batch"``, nested codes, ``loss="neighbors"``, adversarial, sparse or token
        autoencoders, callbacks that listen to batches, `partial_fit` and `warm_start`. With
        "shards" also with missing cells, ``rotation="ica"``, ``n_components="auto"``, `groups`,
        data frames with columns of several kinds, tables with more than 2,000 columns or with fewer
        rows than half the number of columns, and estimators that contain an autoencoder, such as
        detectors and imputers.
    skae.exceptions.LostRankError
        Raised by `fit` on all other processes if a process has failed or was killed; names its
        rank.

    Notes
    -----
    `batch_size` is the total number of rows per step over all processes. Small tables are not
    cross-validated; rows are held out as in large tables. Each process draws its own noise, dropout
    and variational codes, so such models differ from those of a single process as fits with two
    seeds differ. Callbacks must be the same on all processes. Earlier steps of a pipeline are
    fitted by each process alone: fit them beforehand, or use ``rows="shared"``. Fits in threads or
    processes started by joblib are not shared.

    Examples
    --------
    A group that consists of this process alone. Under `torchrun`, call ``init_process_group()``
    without arguments:

    >>> import torch.distributed as dist
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.parallel import across_processes
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> with across_processes(rows="shared"):
    ...     model = AutoencoderTransformer(8, max_iter=2, random_state=0).fit(load_digits().data)
    >>> dist.destroy_process_group()
    >>> len(model.loss_curve_)
    2
    """
    if rows not in ("shards", "shared"):
        raise ValueError(
            f"`rows` must be 'shards' or 'shared'. Got {rows!r}. Use 'shards' if each process "
            "has its own rows."
        )
    if not dist.is_available() or not dist.is_initialized():
        raise RuntimeError(
            "There must be a default process group. Got none. Start the script with torchrun, and "
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
            f"`rows` must be the same on all processes. Got {', '.join(modes)}. Give each of "
            "them its own rows, or all of them the same table."
        )
