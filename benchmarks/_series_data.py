"""Series of different lengths, split, and resampled to one length if needed."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from skae.datasets import load_spoken_digits

_WINDOW, _HOP, _N_FFT, _N_BANDS = 200, 160, 256, 20
_MOST_FRAMES = 60


@dataclass(frozen=True, eq=False)
class Series:
    """Training series and held-out series of shape (length, n_features), with labels."""

    train: list
    test: list
    y_train: np.ndarray
    y_test: np.ndarray


def load_waves():
    """Return waves of two kinds, different lengths and phases, for a short run."""
    source = np.random.default_rng(0)
    labels = source.integers(2, size=90)
    series = []
    for label in labels:
        time = 0.5 * np.arange(source.integers(6, 13)) + source.uniform(0, 6)
        series.append(np.column_stack([np.sin(time), np.cos(time) * (2 * label - 1)]))
    return Series(series[:60], series[60:], labels[:60], labels[60:])


def load_vowels():
    """Return the Japanese vowels in aeon: 12 coefficients, 7 to 29 steps, 9 speakers.

    References
    ----------
    Kudo, M., Toyama, J. and Shimbo, M. (1999). Multidimensional curve classification using
    passing-through regions. https://doi.org/10.1016/S0167-8655(99)00077-X
    """
    # The package is not imported, which takes long, because its data are text files.
    folder = Path(find_spec("aeon").origin).parent / "datasets/data/JapaneseVowels"
    parts = [_read_ts(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")]
    (train, y_train), (test, y_test) = parts
    return Series(train, test, y_train, y_test)


def _read_ts(path):
    """Return the series and the labels of a file: lines of channels, colons between them."""
    _, _, data = path.read_text().partition("@data")
    lines = [line.split(":") for line in data.split()]
    series = [
        np.array([channel.split(",") for channel in channels], dtype=np.float64).T
        for *channels, _ in lines
    ]
    return series, np.array([label for *_, label in lines])


def load_sounds():
    """Return spoken digits as log-mel spectra of different lengths, with takes 0 to 4 held out."""
    digits = load_spoken_digits()
    series = [describe_frames(audio, digits.sample_rate) for audio in digits.audio]
    held_out = digits.take < 5
    train, test = ([series[i] for i in np.flatnonzero(part)] for part in (~held_out, held_out))
    return Series(train, test, digits.digit[~held_out], digits.digit[held_out])


def describe_frames(audio, sample_rate):
    """Return 20 log-mel bands of 25 ms every 20 ms, of shape (n_frames, 20)."""
    samples = np.zeros(max(len(audio), _WINDOW))
    samples[: len(audio)] = audio
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP][:_MOST_FRAMES]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), _N_FFT)))
    bands = power @ _make_mel_bands(sample_rate).T
    return np.log10(bands / bands.max() + 1e-5).astype(np.float32)


def _make_mel_bands(sample_rate):
    """Return triangles of equal width in mel, of shape (20, n_fft / 2 + 1)."""
    most = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, most, _N_BANDS + 2) / 2595) - 1)
    frequencies = np.linspace(0, sample_rate / 2, _N_FFT // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.clip(np.minimum(rising, falling), 0, None)


def resample(series, length):
    """Return series resampled to one length by linear interpolation, as rows."""
    rows = []
    for own in series:
        at = np.linspace(0, len(own) - 1, length)
        before = np.minimum(at.astype(int), max(len(own) - 2, 0))
        share = (at - before)[:, None]
        after = np.minimum(before + 1, len(own) - 1)
        rows.append(((1 - share) * own[before] + share * own[after]).ravel())
    return np.array(rows)
