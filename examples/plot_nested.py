"""
Nested codes: one fit for every number of codes
===============================================

One nested fit gives a model with one code, with two codes, and so on. Daily load curves of
households show the contribution of each further code.
"""

# %%
# Simulated electricity consumption per quarter of an hour: a base load, a peak in the morning and
# one in the evening, whose times, heights and widths differ between days. A shift in time is
# nonlinear, so PCA needs many components for it.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer

rng = np.random.default_rng(0)
hours = np.arange(96) / 4


def draw_peaks(n_days, around, spread):
    """Draw peaks of random times, heights and widths, of shape (n_days, 96)."""
    time = rng.normal(around, spread, (n_days, 1))
    width = rng.uniform(0.7, 1.6, (n_days, 1))
    height = rng.uniform(0.5, 2.0, (n_days, 1))
    return height * np.exp(-0.5 * ((hours - time) / width) ** 2)


days = 0.3 + draw_peaks(3000, 7, 1.0) + draw_peaks(3000, 19, 1.5) + rng.normal(0, 0.05, (3000, 96))
train, test = train_test_split(days, random_state=0)
nested = AutoencoderTransformer(8, nested=True, random_state=0).fit(train)
codes = nested.transform(test)

# %%
# Three days, reconstructed from their first codes. The codes are the same in all plots; only their
# number increases.

numbers = [1, 2, 4, 8]
figure, axes = plt.subplots(3, 4, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
for line, day in zip(axes, [0, 1, 2], strict=True):
    for ax, n_codes in zip(line, numbers, strict=True):
        ax.plot(hours, test[day], color="0.75")
        ax.plot(hours, nested.inverse_transform(codes[[day], :n_codes])[0], color="#3f90da")
        ax.set_xticks([0, 6, 12, 18, 24])
for ax, n_codes in zip(axes[0], numbers, strict=True):
    ax.set_title("1 code" if n_codes == 1 else f"{n_codes} codes")
axes[1, 0].set_ylabel("load [kW]")
axes[-1, 1].set_xlabel("hour of the day")

# %%
# The share of the variance of held-out days that is kept, compared with PCA and with models that
# are fitted for one number of codes each.

variance = np.square(test - train.mean(axis=0)).mean()
every = np.arange(1, 9)
kept = [
    1 - np.square(nested.inverse_transform(codes[:, :n_codes]) - test).mean() / variance
    for n_codes in every
]
own = [
    AutoencoderTransformer(n_codes, random_state=0).fit(train).score(test) for n_codes in numbers
]
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(every, nested.pca_score_curve_, "--", color="0.6", label="PCA, rows held out in fit")
ax.plot(every, kept, color="#3f90da", label="one nested fit")
ax.plot(numbers, own, "o", color="#e76300", label="a fit for each number")
ax.set_xscale("log", base=2)
ax.set_xticks(numbers, numbers)
ax.set(xlabel="number of codes", ylabel="share of variance kept")
ax.legend()
plt.show()
