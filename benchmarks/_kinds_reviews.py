"""Film reviews with few labels: accuracy of a linear classifier on codes of all texts."""

import numpy as np
from _common import print_table
from _data import load_film_reviews_as_tfidf
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split

from skae import AutoencoderTransformer

_N_COMPONENTS = (64,)
_N_LABELS = 100
_N_DRAWS = 20


def report_reviews(options):
    """Print accuracies over draws of the labels, and differences from TruncatedSVD."""
    X, y = load_film_reviews_as_tfidf()
    rows = []
    for n_components in options.codes or _N_COMPONENTS:
        models = {
            "TruncatedSVD": TruncatedSVD(n_components, random_state=0),
            "PCA": PCA(n_components, random_state=0),
        }
        for seed in range(options.seeds):
            models[f"skae, seed {seed}"] = AutoencoderTransformer(
                n_components, max_iter=options.epochs or "auto", random_state=seed
            ).set_params(**options.set)
        reference = None
        for name, model in models.items():
            accuracies = _judge(model.fit_transform(X), y, 3 if options.quick else _N_DRAWS)
            reference = accuracies if reference is None else reference
            rows.append([n_components, name, *_describe(accuracies, accuracies - reference)])
    print_table(
        f"Film reviews: codes of all {X.shape[0]} texts, {_N_LABELS} labels, accuracy on the rest",
        ["codes", "method", "mean", "deviation", "less TruncatedSVD", "standard error"],
        rows,
    )


def _judge(codes, y, n_draws):
    """Return the accuracy for each draw of the labels, of a classifier tuned on these labels."""
    codes = codes - codes.mean(axis=0)
    codes /= np.sqrt(np.square(codes).mean())
    search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": np.logspace(-3, 2, 6)}, cv=5)
    accuracies = []
    for seed in range(n_draws):
        train, test = train_test_split(
            np.arange(len(y)), train_size=_N_LABELS, random_state=seed, stratify=y
        )
        search.fit(codes[train], y[train])
        accuracies.append(search.score(codes[test], y[test]))
    return np.array(accuracies)


def _describe(accuracies, differences):
    """Return mean and deviation over draws, and the mean paired difference and its error."""
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    values = accuracies.mean(), accuracies.std(ddof=1), differences.mean(), error
    return [float(value) for value in values]
