"""Recipes of the models of spoken digits; needs ``fsdd.npz`` in `SKAE_DATA`.

``python zoo/speech.py spoken-spectra-4`` makes one model, ``python zoo/speech.py`` both.
"""

import numpy as np
from _recipes import compare, fit_pca, halved, reconstruct, round_figure, run, show_images
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer
from skae.architectures import Recurrent
from skae.datasets import load_spoken_digits
from skae.sequences import SequencePadder

_WINDOW, _HOP, _N_BANDS, _MOST_FRAMES = 256, 160, 16, 40


def describe_sound(audio):
    """Return log powers of 32 ms in 16 bands every 20 ms, of shape (n_frames, 16).

    Bands have eight frequencies each, up to 4 kHz, and are relative to the loudest.
    """
    samples = np.zeros(max(len(audio), _WINDOW))
    samples[: len(audio)] = audio
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP][:_MOST_FRAMES]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW))[:, 1:]))
    bands = power.reshape(len(frames), _N_BANDS, -1).mean(axis=2)
    return np.log10(bands / max(bands.max(), 1e-9) + 1e-5).astype(np.float32)


def load():
    """Return spectra of training recordings, and of takes 0 to 4, which are held out."""
    digits = load_spoken_digits()
    spectra = [describe_sound(audio) for audio in digits.audio]
    held_out = digits.take < 5
    return [[spectra[i] for i in np.flatnonzero(part)] for part in (~held_out, held_out)]


def make_card(kind, title, shape, figures):
    return {
        "title": title,
        "kind": kind,
        "data": "takes 5 to 49 of the Free Spoken Digit Dataset by Z. Jackson and others",
        "licence": "CC BY-SA 4.0 (data)",
        "input": f"{shape}: recordings at 8 kHz as describe_sound of zoo/speech.py describes them",
        "figures": figures,
    }


def make_recurrent():
    train, test = load()
    autoencoder = AutoencoderTransformer(
        32,
        architecture=Recurrent(n_units=64),
        sample_shape=(-1, _N_BANDS),
        missing="mask",
        max_iter=12,
        random_state=0,
    )
    model = make_pipeline(SequencePadder(max_length=_MOST_FRAMES), autoencoder)
    model = halved(model.fit(train))
    figures = {
        "held-out recordings": len(test),
        "squared error per cell": find_errors(model, test),
        "PCA of as many codes": find_errors(make_start(model).fit(train), test),
    }
    title = "recurrent autoencoder of spoken digits of any length"
    shape = f"list of arrays of shape (n_frames, {_N_BANDS})"
    return model, make_card("recurrent", title, shape, figures), show_sounds(model, test)


def make_start(model):
    """Return a pipeline like that of a model, with PCA instead of the autoencoder."""
    start = clone(model)
    start[-1].set_params(max_iter=1, early_stopping=False, learning_rate_init=1e-12)
    return start


def find_errors(model, series):
    """Return the error per observed cell."""
    padded = model[0].transform(series)
    return round_figure(np.nanmean(model[-1].reconstruction_errors(padded)))


def show_sounds(model, test):
    shown = test[:300:25]
    padded = model[0].transform(shown)
    decoded = model[-1].inverse_transform(model[-1].transform(padded))
    there = ~np.isnan(padded)
    images = {
        "held out": np.where(there, padded, np.nan),
        "reconstructed": np.where(there, decoded, np.nan),
    }
    turned = {
        name: own.reshape(len(shown), -1, _N_BANDS).transpose(0, 2, 1)[:, ::-1]
        for name, own in images.items()
    }
    return show_images({name: own[:, :, :32] for name, own in turned.items()}, limits=(-5, 0))


def make_spectra():
    train, test = (np.concatenate(part) for part in load())
    model = AutoencoderTransformer(4, hidden_layer_sizes=(64, 64), max_iter=10, random_state=0)
    model = halved(model.fit(train))
    figures = compare(model, train, test)
    shown = test[: 12 * 16].reshape(12, 16, _N_BANDS)
    stripes = {
        "held out": shown,
        "autoencoder": reconstruct(model, shown.reshape(-1, _N_BANDS)).reshape(shown.shape),
        "PCA": reconstruct(fit_pca(model, train), shown.reshape(-1, _N_BANDS)).reshape(shown.shape),
    }
    turned = {name: own.transpose(0, 2, 1)[:, ::-1] for name, own in stripes.items()}
    title = "dense autoencoder of single spectra of speech: 16 bands in 4 codes"
    card = make_card("spectra", title, f"array of shape (n, {_N_BANDS})", figures)
    return model, card, show_images(turned, limits=(-5, 0))


if __name__ == "__main__":
    run({"spoken-recurrent-32": make_recurrent, "spoken-spectra-4": make_spectra})
