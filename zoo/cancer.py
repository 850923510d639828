"""Recipes of an imputer and a detector for scikit-learn's breast cancer table.

``python zoo/cancer.py cancer-imputer`` makes one model, ``python zoo/cancer.py`` both. They need no
data file, and are no medical devices.
"""

import numpy as np
from _recipes import find_error, halved, round_figure, run, show_bars
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer, AutoencoderOutlierDetector

_N_TRAINING = 380


def make_card(kind, title, data, figures):
    return {
        "title": title,
        "kind": kind,
        "data": f"{data} of sklearn.datasets.load_breast_cancer, from the UCI repository "
        "(W. Wolberg, O. Mangasarian, N. Street and W. Street)",
        "licence": "CC BY 4.0 (data)",
        "input": "array of shape (n, 30), columns as in load_breast_cancer",
        "figures": figures,
    }


def load():
    X, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:_N_TRAINING], order[_N_TRAINING:]
    return X[train], y[train], X[test], y[test]


def make_imputer():
    X, _, X_test, _ = load()
    rng = np.random.default_rng(1)
    holes, holes_test = (
        np.where(rng.uniform(size=own.shape) < 0.2, np.nan, own) for own in (X, X_test)
    )
    model = halved(AutoencoderImputer(random_state=0).fit(holes))
    others = {
        "IterativeImputer": IterativeImputer(max_iter=30, random_state=0),
        "SimpleImputer, means": SimpleImputer(),
    }
    scaler, hidden = StandardScaler().fit(X), np.isnan(holes_test)

    def judge(imputer):
        filled = scaler.transform(imputer.transform(holes_test))
        return find_error(scaler.transform(X_test)[hidden], filled[hidden])

    errors = {"AutoencoderImputer": judge(model)}
    errors |= {name: judge(other.fit(holes)) for name, other in others.items()}
    figures = {
        "held-out rows": len(X_test),
        "squared error of hidden cells, in units of their variance": errors,
        "share that is learned beyond the normal distribution": round_figure(model.learned_share_),
    }
    card = make_card(
        "imputer",
        "imputer for the measurements of the breast cancer table",
        f"{len(X)} rows, of which a fifth of the cells were hidden,",
        figures,
    )
    card["input"] += "; missing cells are NaN"
    return model, card, show_bars(errors, "squared error of hidden cells, in their variance")


def make_detector():
    X, y, X_test, y_test = load()
    benign = X[y == 1]
    model = halved(AutoencoderOutlierDetector(trim=0, random_state=0).fit(benign))
    scaler = StandardScaler().fit(benign)
    pca = PCA(0.8, svd_solver="full").fit(scaler.transform(benign))
    rows = scaler.transform(X_test)
    distances = np.square(rows - pca.inverse_transform(pca.transform(rows))).sum(axis=1)
    forest = IsolationForest(random_state=0).fit(benign)
    is_malignant = y_test == 0
    areas = {
        "AutoencoderOutlierDetector": roc_auc_score(is_malignant, -model.score_samples(X_test)),
        "error of PCA": roc_auc_score(is_malignant, distances),
        "IsolationForest": roc_auc_score(is_malignant, -forest.score_samples(X_test)),
    }
    areas = {name: round_figure(area) for name, area in areas.items()}
    figures = {
        "held-out rows": len(X_test),
        "of these malignant": int(is_malignant.sum()),
        "area under the ROC curve": areas,
    }
    card = make_card(
        "detector",
        "detector of measurements unlike those of benign cells",
        f"{len(benign)} rows of benign cells",
        figures,
    )
    return model, card, show_bars(areas, "area under the ROC curve, malignant against benign")


if __name__ == "__main__":
    run({"cancer-imputer": make_imputer, "cancer-detector": make_detector})
