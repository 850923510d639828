"""
A grid search over the whole pipeline
=====================================

Scaling, codes and classifier form one estimator, so the score of the classifier chooses the number
of codes.
"""

# %%
# With ``memory``, the autoencoder is not refitted for candidates that differ only in the
# classifier. PCA is one of the candidates.

from tempfile import TemporaryDirectory

import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=900, random_state=0)

cache = TemporaryDirectory()
pipeline = Pipeline(
    [("codes", None), ("classify", LogisticRegression(max_iter=5000))], memory=cache.name
)
grid = {
    "codes": [PCA(), AutoencoderTransformer(max_iter=30, random_state=0)],
    "codes__n_components": [2, 4, 8],
    "classify__C": [0.001, 0.01, 0.1],
}
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)
print(search.best_params_)
print(f"accuracy in the search {search.best_score_:.3f}")
print(f"accuracy on other rows {search.score(X_test, y_test):.3f}")

# %%
# All candidates, each with the best of three regularization strengths of the classifier:

results = pd.DataFrame(search.cv_results_)
results["method"] = ["PCA" if isinstance(c, PCA) else "autoencoder" for c in results.param_codes]
best = results.pivot_table("mean_test_score", "param_codes__n_components", "method", aggfunc="max")
best.round(3)

# %%
ax = best[["PCA", "autoencoder"]].plot(marker="o", figsize=(6, 4))
ax.set(xlabel="number of codes", ylabel="accuracy, cross-validated", xticks=best.index)
ax.figure.tight_layout()

# %%
# Fitting time per fold in seconds. The fastest fits are those whose codes were in the cache.

results.groupby("method").mean_fit_time.agg(["min", "max"]).round(2)
