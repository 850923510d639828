"""Series of different lengths: accuracy of a 1-nearest-neighbour classifier on codes."""

import numpy as np
from _common import has_data, is_installed, print_table
from _series_data import load_sounds, load_vowels, load_waves, resample
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer
from skae.sequences import SequencePadder

# Loaders, and the number of steps for PCA, which is about the median length.
_TASKS = {"waves": (load_waves, 8), "vowels": (load_vowels, 16), "sounds": (load_sounds, 20)}
_N_COMPONENTS = (4, 8, 16)


def report_series(options):
    """Print 1-nearest-neighbour accuracy on codes of series, and on PCA of resampled series."""
    rows = []
    for name in ["waves"] if options.quick else _list_tasks():
        load, length = _TASKS[name]
        data = load()
        for n_components in options.codes or _N_COMPONENTS[: 1 if options.quick else None]:
            rows.append([name, n_components, *_judge(data, length, n_components, options)])
    print_table(
        f"Series of different lengths: accuracy of 1-nearest-neighbour, {options.seeds} seeds",
        [
            "series",
            "codes",
            "PCA resampled",
            "PCA padded",
            "recurrent",
            "less resampled",
            "aim",
        ],
        rows,
    )


def _list_tasks():
    tasks = []
    if is_installed("aeon"):
        tasks.append("vowels")
    if has_data("sounds", "fsdd.npz"):
        tasks.append("sounds")
    return tasks


def _judge(data, length, n_components, options):
    """Return the accuracies of both PCAs, the mean of skae, and its difference from the first."""
    pca = PCA(n_components, random_state=0)
    resampled = resample(data.train, length), resample(data.test, length)
    padder = SequencePadder().fit(data.train)
    padded = padder.transform(data.train), padder.transform(data.test)
    mean = np.nanmean(padded[0], axis=0)
    filled = [np.where(np.isnan(rows), mean, rows) for rows in padded]
    theirs = [_count_neighbours(pca, *rows, data) for rows in (resampled, filled)]
    ours = []
    for seed in range(options.seeds):
        model = AutoencoderTransformer(
            n_components,
            architecture="recurrent",
            sample_shape=padder.sample_shape_,
            missing="mask",
            max_iter=options.epochs or "auto",
            random_state=seed,
        ).set_params(**options.set)
        ours.append(_count_neighbours(model, *padded, data))
    mean = float(np.mean(ours))
    return *theirs, mean, mean - theirs[0], 0.0


def _count_neighbours(transformer, X_train, X_test, data):
    codes = transformer.fit_transform(X_train)
    judge = KNeighborsClassifier(1).fit(codes, data.y_train)
    return judge.score(transformer.transform(X_test), data.y_test)
