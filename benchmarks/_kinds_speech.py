"""Spoken digits: what a linear classifier makes of codes, for seen and for unseen speakers."""

import numpy as np
from _common import print_table
from scipy.signal import stft
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.datasets import load_spoken_digits

_N_COMPONENTS = (8, 16, 64)
_TEST_TAKES = 5
_SIDE = 32
_WINDOW, _HOP = 256, 64
_LOWEST_HERTZ = 50
_DECIBELS = 80


def report_speech(options):
    """Print accuracies of logistic regression on our codes and on PCA's."""
    digits = load_spoken_digits()
    X = draw_sounds(digits.audio, digits.sample_rate).reshape(len(digits.digit), -1)
    test = digits.take < _TEST_TAKES
    splits = {"takes 0 to 4": [(~test, test)]}
    if options.speakers:
        speakers = np.unique(digits.speaker)
        splits["unseen speaker"] = [(digits.speaker != s, digits.speaker == s) for s in speakers]
    rows = []
    for name, parts in splits.items():
        for n_components in options.codes or _N_COMPONENTS:
            accuracies = [
                np.mean([classify(model, X, digits.digit, *part) for part in parts])
                for model in make_models(n_components, options)
            ]
            pca, *ours = map(float, accuracies)
            rows.append([name, n_components, pca, *ours, max(ours) - pca])
    names = ["test", "codes", "PCA", *_SETTINGS, "best - PCA"]
    title = "Spoken digits, 32 x 32 log-mel pictures: accuracy of logistic regression on codes"
    print_table(title, names, rows)


# The autoencoders, by what is set beside the number of codes.
_SETTINGS = {
    "dense": {},
    "denoising": {"corruption": "masking", "corruption_level": 0.5},
}


def make_models(n_components, options):
    """Return PCA and the autoencoders."""
    chosen = {"random_state": 0, "max_iter": options.epochs or "auto", **options.set}
    ours = [
        AutoencoderTransformer(n_components, **(settings | chosen))
        for settings in _SETTINGS.values()
    ]
    return [PCA(n_components, random_state=0), *ours]


def classify(model, X, y, train, test):
    """Return the accuracy on test rows of a classifier of codes; rows of both have no labels."""
    classifier = LogisticRegression(max_iter=2000)
    pipeline = make_pipeline(clone(model), StandardScaler(), classifier)
    return pipeline.fit(X[train], y[train]).score(X[test], y[test])


def draw_sounds(audio, sample_rate):
    """Return sounds of any length as pictures of 32 frequencies by 32 moments, in decibels.

    Powers in bands of the mel scale, no more than 80 decibels below the loudest of the recording,
    interpolated to 32 moments.
    """
    filters = make_mel_filters(sample_rate)
    return np.stack([draw_sound(sound, filters, sample_rate) for sound in audio])


def draw_sound(sound, filters, sample_rate):
    """Return the picture of one sound."""
    samples = sound / np.float64(2**15)
    _, _, spectrum = stft(samples, sample_rate, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    power = filters @ np.square(np.abs(spectrum))
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - _DECIBELS)
    moments = np.arange(decibels.shape[1])
    wanted = np.linspace(0, moments[-1], _SIDE)
    picture = [np.interp(wanted, moments, band) for band in decibels]
    return np.array(picture, dtype=np.float32)


def make_mel_filters(sample_rate):
    """Return the triangles of 32 bands, equally wide on the mel scale, by frequencies."""
    mels = to_mel(np.linspace(0, sample_rate / 2, _WINDOW // 2 + 1))
    edges = np.linspace(to_mel(_LOWEST_HERTZ), to_mel(sample_rate / 2), _SIDE + 2)
    lower, centre, upper = (edges[i : i + _SIDE, None] for i in range(3))
    rising, falling = (mels - lower) / (centre - lower), (upper - mels) / (upper - centre)
    return np.minimum(rising, falling).clip(0)


def to_mel(hertz):
    """Return pitches on the mel scale."""
    return 2595 * np.log10(1 + hertz / 700)
