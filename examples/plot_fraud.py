"""
Detecting fraudulent purchases
==============================

Purchases with a stolen card may look ordinary in each column. They stand out because the columns do
not fit together.
"""

# %%
# The purchases are simulated. Each card holder has a few habits, and twenty columns are nonlinear
# functions of these habits: amounts, hours, distances, kinds of shop. A thief uses the card as
# *another* holder would: the columns that describe the purchase come from another person, and the
# columns that describe the card stay. Every single value thus also occurs in honest purchases.

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
n_habits, n_columns = 4, 20
first, second = rng.normal(size=(n_habits, 30)), rng.normal(size=(30, n_columns))
is_of_purchase = np.arange(n_columns) < 8
names = [f"{'purchase' if is_it else 'card'} {i}" for i, is_it in enumerate(is_of_purchase)]


def make_purchases(n):
    """Draw honest purchases."""
    habits = rng.normal(size=(n, n_habits))
    return np.tanh(habits @ first) @ second / 5 + rng.normal(scale=0.1, size=(n, n_columns))


def steal(purchases, n):
    """Return n purchases whose purchase columns come from other card holders."""
    stolen, others = purchases[:n], purchases[n : 2 * n]
    return np.where(is_of_purchase, others, stolen)


train, honest = make_purchases(2000), make_purchases(2000)
test = np.vstack([honest, steal(make_purchases(80), 40)])
is_fraud = np.arange(len(test)) >= len(honest)

# %%
# Single columns do not distinguish frauds from honest purchases:

figure, axes = plt.subplots(1, 4, figsize=(9, 2.2), layout="constrained")
for ax, column in zip(axes, [0, 4, 10, 15], strict=True):
    for rows, label in [(test[~is_fraud], "honest"), (test[is_fraud], "fraud")]:
        ax.hist(rows[:, column], bins=20, density=True, alpha=0.5, label=label)
    ax.set(xlabel=names[column], yticks=[])
axes[0].legend()

# %%
# None of the detectors uses labels. Precision is the share of alarms that are correct, recall the
# share of frauds that are found.

from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.neighbors import LocalOutlierFactor

from skae import AutoencoderOutlierDetector, AutoencoderTransformer

detectors = {
    "AutoencoderOutlierDetector": AutoencoderOutlierDetector(
        autoencoder=AutoencoderTransformer(max_iter=40), random_state=0
    ),
    "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
    "IsolationForest": IsolationForest(random_state=0),
}
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, detector in detectors.items():
    strangeness = -detector.fit(train).score_samples(test)
    precision, recall, _ = precision_recall_curve(is_fraud, strangeness)
    area = average_precision_score(is_fraud, strangeness)
    print(f"{name:27} average precision {area:.2f}")
    ax.plot(recall, precision, label=name)
ax.set(xlabel="recall: frauds that are found", ylabel="precision: alarms that are right")
ax.legend()

# %%
# An alarm is more useful with an explanation. The errors of the cells show which columns are
# unusual; here are the ten most unusual purchases.

detector = detectors["AutoencoderOutlierDetector"]
worst = np.argsort(detector.score_samples(test))[:10]
errors = np.sqrt(detector.reconstruction_errors(test[worst]))
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
picture = ax.imshow(errors, cmap="magma_r", aspect="auto")
ax.set_xticks(range(n_columns), names, rotation=60, ha="right")
ax.set_yticks(range(10), ["fraud" if fraud else "honest" for fraud in is_fraud[worst]])
figure.colorbar(picture, label="error, in ranges of the column")
