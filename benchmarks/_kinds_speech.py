"""Spoken digits: accuracy of a linear classifier on codes, for seen and unseen speakers."""

import numpy as np
import torch
from _common import print_table
from scipy.signal import stft
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.corruption import Corruption, MaskingNoise
from skae.datasets import load_spoken_digits

_N_COMPONENTS = (8, 16, 64)
_TEST_TAKES = 5
_SIDE = 32
_WINDOW, _HOP = 256, 64
_LOWEST_HERTZ = 50
_DECIBELS = 80


# Aim: difference from PCA on takes 0 to 4, by the number of codes.
_AIMS = {8: 0.12, 16: 0.04, 64: 0.0}


class SpokenOtherwise(Corruption):
    """Noise for spectrograms: another pace, another voice, and half of the cells masked.

    An autoencoder that is to undo it has no use for when and how high something is said.

    Parameters
    ----------
    level : float in [0, 1]
        Share of the cells that are masked in the end.
    moments, frequencies : float
        Standard deviations of what pictures are moved and bent by, in cells.
    """

    def __init__(self, level=0.5, moments=3.0, frequencies=1.0):
        super().__init__(level)
        self.moments, self.frequencies = moments, frequencies

    def __call__(self, rows, columns, generator):
        """Return warped and masked spectrograms."""
        pictures = rows.reshape(-1, 1, _SIDE, _SIDE)
        draws = torch.randn(5, len(pictures), 1, generator=generator, dtype=rows.dtype)
        draws = draws.to(rows.device) / ((_SIDE - 1) / 2)
        at = torch.linspace(-1, 1, _SIDE, dtype=rows.dtype, device=rows.device)
        waves = draws[1] * torch.sin(torch.pi * at) + draws[2] * torch.cos(torch.pi * at)
        moments = at + self.moments * (draws[0] + waves)
        frequencies = at + self.frequencies * (draws[3] + draws[4] * at / 2)
        shape = len(pictures), _SIDE, _SIDE
        grid = [moments[:, None, :].expand(shape), frequencies[:, :, None].expand(shape)]
        warped = torch.nn.functional.grid_sample(
            pictures, torch.stack(grid, -1), padding_mode="border", align_corners=True
        )
        return MaskingNoise(self.level)(warped.view_as(rows), columns, generator)


# Parameters of the autoencoders. The last is compared with PCA.
_SETTINGS = {
    "dense": {},
    "denoising": {"corruption": "masking", "corruption_level": 0.5},
    "own noise": {"corruption": SpokenOtherwise()},
}


def report_speech(options):
    """Print accuracies of logistic regression on codes of autoencoders and of PCA."""
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
            accuracies = judge_models(X, digits.digit, parts, n_components, options)
            aim = _AIMS.get(n_components) if name == "takes 0 to 4" else None
            rows.append([name, n_components, *describe(accuracies), aim])
    last = list(_SETTINGS)[-1]
    names = ["test", "codes", "PCA", *_SETTINGS, "deviation", f"{last} - PCA", "aim"]
    title = (
        "Spoken digits, 32 x 32 log-mel pictures: accuracy of logistic regression on codes, "
        f"mean over {options.seeds} seeds"
    )
    print_table(title, names, rows)


def judge_models(X, y, parts, n_components, options):
    """Return the accuracies by seed of PCA and each autoencoder, as means over splits."""
    return [
        [np.mean([classify(model, X, y, *part) for part in parts]) for model in models]
        for models in make_models(n_components, options)
    ]


def describe(accuracies):
    """Return means over seeds, and deviation and difference from the first for the last."""
    means = [float(np.mean(values)) for values in accuracies]
    return *means, float(np.std(accuracies[-1])), means[-1] - means[0]


def make_models(n_components, options):
    """Return lists of models: PCA, and each autoencoder with several seeds."""
    chosen = {"max_iter": options.epochs or "auto", **options.set}
    ours = [
        [
            AutoencoderTransformer(n_components, **({"random_state": seed} | settings | chosen))
            for seed in range(options.seeds)
        ]
        for settings in _SETTINGS.values()
    ]
    return [[PCA(n_components, random_state=0)], *ours]


def classify(model, X, y, train, test):
    """Return the test accuracy of a classifier of codes; the encoder has seen no labels."""
    classifier = LogisticRegression(max_iter=2000)
    pipeline = make_pipeline(clone(model), StandardScaler(), classifier)
    return pipeline.fit(X[train], y[train]).score(X[test], y[test])


def draw_sounds(audio, sample_rate):
    """Return sounds of any length as spectrograms of 32 frequencies by 32 times, in decibels.

    Powers in bands of the mel scale, no more than 80 decibels below the loudest of the recording,
    interpolated to 32 moments.
    """
    filters = make_mel_filters(sample_rate)
    return np.stack([draw_sound(sound, filters, sample_rate) for sound in audio])


def draw_sound(sound, filters, sample_rate):
    """Return the spectrogram of one sound."""
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
    """Return triangular filters of 32 bands of equal width on the mel scale."""
    mels = to_mel(np.linspace(0, sample_rate / 2, _WINDOW // 2 + 1))
    edges = np.linspace(to_mel(_LOWEST_HERTZ), to_mel(sample_rate / 2), _SIDE + 2)
    lower, centre, upper = (edges[i : i + _SIDE, None] for i in range(3))
    rising, falling = (mels - lower) / (centre - lower), (upper - mels) / (upper - centre)
    return np.minimum(rising, falling).clip(0)


def to_mel(hertz):
    """Return pitches on the mel scale."""
    return 2595 * np.log10(1 + hertz / 700)
