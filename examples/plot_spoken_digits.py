"""
Spoken digits
=============

Recordings of spoken digits are converted to spectrograms and reduced to a few codes, from which a
simple classifier recognises the digit.
"""

# %%
# The recordings are those of the Free Spoken Digit Dataset if available. Otherwise the script
# synthesises words: each glides from one vowel to another, with different voices.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import zoom
from scipy.signal import lfilter, spectrogram

from skae.datasets import has_data_file, load_spoken_digits

VOWELS = {"a": (750, 1200), "e": (450, 1900), "i": (280, 2300), "o": (450, 850), "u": (300, 700)}
WORDS = ["au", "ei", "oa", "ia", "ue", "io", "eo", "ai", "ui", "oe"]


def speak(word, rng, rate=8000):
    """Make the sound of a word: a buzz, through two resonances that move."""
    n = int(rate * rng.uniform(0.35, 0.6))
    pitch = rng.uniform(90, 220) * np.linspace(1.1, 0.9, n)
    sound = np.diff(np.floor(np.cumsum(pitch) / rate), prepend=0) + rng.normal(0, 0.02, n)
    start, end = np.array(VOWELS[word[0]]), np.array(VOWELS[word[1]])
    pieces = np.array_split(sound, 20)
    for share, piece in zip(np.linspace(0, 1, 20), pieces, strict=True):
        for frequency in (start + share * (end - start)) * rng.normal(1, 0.03, 2):
            radius = 0.97
            turn = 2 * radius * np.cos(2 * np.pi * frequency / rate)
            piece[:] = lfilter([1 - radius], [1, -turn, radius**2], piece)
    return np.concatenate(pieces)


if has_data_file("fsdd.npz"):
    speech = load_spoken_digits()
    sounds, y, is_test = speech.audio, speech.digit, speech.take < 5
else:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 125)
    sounds = [speak(WORDS[label], rng) for label in y]
    is_test = np.arange(len(y)) % 5 == 0

# %%
# A spectrogram shows time from left to right and frequency from bottom to top. All spectrograms are
# stretched to the same size, and each is a row of a table.

SHAPE = (16, 24)


def picture(sound):
    """Return the logarithm of the energy by frequency and time, from 0 to 1."""
    _, _, energy = spectrogram(np.asarray(sound, float), fs=8000, nperseg=256, noverlap=192)
    bands = energy[:64].reshape(16, 4, -1).sum(axis=1)
    level = np.log(bands + 1e-9 * bands.max())
    level = zoom(level, (1, SHAPE[1] / level.shape[1]), order=1)[:, : SHAPE[1]]
    return np.clip(1 + (level - level.max()) / 12, 0, 1).ravel()


X = np.array([picture(sound) for sound in sounds], dtype=np.float32)
X_train, X_test, y_train, y_test = X[~is_test], X[is_test], y[~is_test], y[is_test]
print(X_train.shape, X_test.shape)

# %%
# Sixteen codes from PCA and from an autoencoder, with the same classifier on both:

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

models = {
    "PCA": PCA(n_components=16),
    "autoencoder": AutoencoderTransformer(n_components=16, max_iter=20, random_state=0),
}
pictures = {"original": X_test}
for name, model in models.items():
    codes = model.fit_transform(X_train)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    accuracy = classifier.fit(codes, y_train).score(model.transform(X_test), y_test)
    pictures[name] = model.inverse_transform(model.transform(X_test))
    error = np.mean((pictures[name] - X_test) ** 2)
    print(f"{name:12} squared error {error:.4f}, accuracy {accuracy:.3f}")

# %%
# Reconstructions of the sounds:

shown = [np.flatnonzero(y_test == digit)[0] for digit in range(0, 10, 2)]
figure, axes = plt.subplots(3, len(shown), figsize=(8, 4), layout="constrained")
for line, (name, rows) in zip(axes, pictures.items(), strict=True):
    for ax, index in zip(line, shown, strict=True):
        image = rows[index].reshape(SHAPE)
        ax.imshow(image, origin="lower", cmap="magma", vmin=0, vmax=1, aspect="auto")
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
for ax, index in zip(axes[0], shown, strict=True):
    ax.set_title(f"{y_test[index]}")
