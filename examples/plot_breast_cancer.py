"""
Four codes for a diagnosis
==========================

Thirty measurements of cell nuclei, many of them strongly correlated, are reduced to a few codes,
which a classifier then uses.
"""

# %%
# The columns have different units, so they are standardised first. How many codes are enough?

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.comparison import compare_downstream, compare_with_pca
from skae.inspection import CodeDisplay, explain_codes

data = load_breast_cancer(as_frame=True)
X, y = data.data, data.target_names[data.target]
comparison = compare_with_pca(X, y, n_components=(2, 4, 8), standardize=True)
comparison

# %%
# With each number of codes, the autoencoder keeps more of the variance than PCA.

display = comparison.plot()

# %%
# Is the classifier on the codes better, too? On a single split, a difference may be due to chance.
# Ten splits give a confidence interval, which takes into account that the splits share rows:

model = make_pipeline(StandardScaler(), AutoencoderTransformer(n_components=4, random_state=0))
print(compare_downstream(model, X, y))

# %%
# If the interval of the difference contains zero, as here, these rows cannot tell which codes are
# better for the diagnosis: a linear combination of the columns already separates benign from
# malignant. The advantage of the autoencoder is that four codes describe the *whole* row better.
#
# Two codes of PCA and of an autoencoder, for all tumours:

from sklearn.decomposition import PCA

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, step in zip(
    axes, [PCA(n_components=2), AutoencoderTransformer(2, random_state=0)], strict=True
):
    pipeline = make_pipeline(StandardScaler(), step).fit(X)
    CodeDisplay.from_estimator(pipeline, X, y, ax=ax)
    ax.set_title(type(step).__name__)

# %%
# Which measurements does a code represent? The plot shows how the reconstruction changes with each
# code.

explanation = explain_codes(model.fit(X), X)
display = explanation.plot("effects")
