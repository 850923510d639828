"""
Film reviews with few labels
============================

Few texts have a label, and many have none. Codes are learned from all texts, and a classifier from
the few texts with a label.
"""

# %%
# The texts are the film reviews of Pang and Lee if available, with positive and negative labels.
# Otherwise they are the docstrings of scikit-learn's functions and classes, labelled as models or
# tools.

import inspect

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.discovery import all_estimators, all_functions

from skae import AutoencoderTransformer
from skae.datasets import has_data_file, load_film_reviews

if has_data_file("reviews.jsonl.gz"):
    reviews = load_film_reviews()
    texts, y = list(reviews.text), np.asarray(reviews.label)
    groups, n_labelled, C = ("against", "for"), 100, 0.01
else:
    things = [thing for _, thing in all_estimators() + all_functions()]
    texts = [inspect.getdoc(thing) or "" for thing in things]
    y = np.array([isinstance(thing, type) for thing in things], dtype=int)
    groups, n_labelled, C = ("function", "class"), 60, 1.0
print(f"{len(texts)} texts, for instance: {texts[0][:60]!r} ...")

# %%
# A text is a row of word weights, nearly all of which are zero. The autoencoder takes the sparse
# matrix directly and starts as its PCA, which is close to latent semantic analysis.

table = TfidfVectorizer(max_features=2000, min_df=5, sublinear_tf=True, stop_words="english")
X = table.fit_transform(texts)
models = {
    "TruncatedSVD": TruncatedSVD(n_components=32, random_state=0),
    "skae": AutoencoderTransformer(n_components=32, max_iter=20, random_state=0),
}
codes = {name: model.fit_transform(X) for name, model in models.items()}
autoencoder = models["skae"]
share = autoencoder.reconstruction_error_ / autoencoder.pca_reconstruction_error_
print(f"error on texts held out in fit, over PCA's: {share:.3f}")

# %%
# The result depends on which texts have a label, so the labelled texts are chosen at random twenty
# times, and the classifier is tested on all other texts. Codes that contain more information about
# the words need not contain more about the label, so it is worth trying both methods.

accuracies = {name: [] for name in models}
for seed in range(20):
    order = np.random.default_rng(seed).permutation(len(y))
    known, unknown = order[:n_labelled], order[n_labelled:]
    for name, Z in codes.items():
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C))
        accuracies[name].append(classifier.fit(Z[known], y[known]).score(Z[unknown], y[unknown]))
for name, values in accuracies.items():
    print(f"{name:12} accuracy {np.mean(values):.3f}, standard deviation {np.std(values):.3f}")
gain = np.subtract(accuracies["skae"], accuracies["TruncatedSVD"])
print(f"difference {gain.mean():+.3f}, standard error {gain.std(ddof=1) / len(gain) ** 0.5:.3f}")

# %%
# A code represents a theme. In each line, the code increases with the first words and decreases
# with the last:

from skae.inspection import CodeDisplay

words = table.get_feature_names_out()
for index in range(1, 4):
    step = np.zeros((2, 32))
    step[:, index] = np.percentile(codes["skae"][:, index], [1, 99])
    low, high = autoencoder.inverse_transform(step)
    order = np.argsort(high - low)
    print(f"code {index}: {', '.join(words[order[:-6:-1]])} - {', '.join(words[order[:5]])}")

figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
labels = np.take(groups, y)
CodeDisplay.from_predictions(codes["skae"], y=labels, components=(1, 2), ax=ax)
