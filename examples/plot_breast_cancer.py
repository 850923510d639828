"""
Four numbers for a diagnosis
============================

Thirty measurements of cell nuclei, many of which say nearly the same, become a few codes for the
classifier behind them.
"""

# %%
# The columns have different units, so they are standardised first. Which number of codes is enough?

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.comparison import compare_downstream, compare_with_pca
from skae.inspection import CodeDisplay, explain_codes

data = load_breast_cancer(as_frame=True)
X, y = data.data, data.target_names[data.target]
comparison = compare_with_pca(X, y, n_components=(1, 2, 4, 8), standardize=True)
comparison

# %%
# At each number of codes the autoencoder keeps more of what the thirty columns say.

display = comparison.plot()

# %%
# Is the classifier behind the codes better, too? On one split a difference may be chance. Over ten
# splits, with an interval that allows for their sharing rows:

model = make_pipeline(StandardScaler(), AutoencoderTransformer(n_components=4, random_state=0))
print(compare_downstream(model, X, y, cv=5))

# %%
# Where zero lies within the interval of the difference, as here, these rows do not tell which codes
# are better for the diagnosis: what separates benign from malignant is along a straight line
# already. What the autoencoder brings is that four numbers describe the *whole* row more closely.
#
# Here are two of its codes, and of PCA's, for all growths:

from sklearn.decomposition import PCA

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, step in zip(
    axes, [PCA(n_components=2), AutoencoderTransformer(2, random_state=0)], strict=True
):
    pipeline = make_pipeline(StandardScaler(), step).fit(X)
    CodeDisplay.from_estimator(pipeline, X, y, ax=ax)
    ax.set_title(type(step).__name__)

# %%
# And which measurements a code stands for: what changes in the reconstruction when it does.

explanation = explain_codes(model.fit(X), X)
display = explanation.plot("effects")
