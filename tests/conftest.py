"""Fixtures and options of all tests."""

import gc
from collections import defaultdict

import pytest

# Fixtures import what they need: the process that hands out tests to others needs none of it.

# Modules and tests that are collected stay, and need not be searched for garbage meanwhile.
gc.disable()


def pytest_itemcollected(item):
    # Worker processes must collect equal names, but addresses of objects differ between them.
    if " at 0x" in item.name:
        raise pytest.UsageError(f"{item.nodeid}: give the parameters ids without addresses")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark combinations of parameters as slow, and put tests of exports first.

    In tests with the marker, all but every n-th combination is slow. Of two parameters with n
    values, each value stays in a fast one, as in a Latin square.
    """
    # `callspec.indices` holds the number of the combination for each parameter that is no fixture.
    places = defaultdict(dict)
    for item in items:
        for marker in item.iter_markers("mostly_slow"):
            test = item.nodeid.partition("[")[0]
            values = enumerate(item.callspec._idlist)
            numbers = [
                places[test, axis].setdefault(value, len(places[test, axis]))
                for axis, value in values
            ]
            (n,) = marker.args
            if sum(numbers) % n != marker.kwargs.get("first", 0):
                item.add_marker(pytest.mark.slow)
    # Importing ONNX and torch's exporter takes seconds: one worker runs all tests that need them.
    items.sort(key=lambda item: "onnx" not in item.nodeid and "test_export" not in item.nodeid)


def pytest_collection_finish():
    # Fits make many objects and few cycles.
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


def pytest_runtest_setup(item):
    from skae.datasets import has_data_file

    for marker in item.iter_markers("needs_data"):
        (name,) = marker.args
        if not has_data_file(name):
            pytest.skip(f"SKAE_DATA does not name a folder that holds {name}")


@pytest.fixture
def wine():
    """Return 178 rows of 13 standardised features, and the cultivars by name."""
    from sklearn.datasets import load_wine
    from sklearn.preprocessing import StandardScaler

    data = load_wine()
    return StandardScaler().fit_transform(data.data), data.target_names[data.target]


@pytest.fixture(scope="session")
def all_digits():
    """Return the images and the digits as scikit-learn loads them from a text file."""
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


@pytest.fixture
def digits(all_digits):
    """Return 200 images of 64 pixels from 0 to 1, and the digits."""
    X, y = all_digits
    return X[:200] / 16, y[:200].copy()


@pytest.fixture(scope="session")
def images(all_digits):
    """Return 150 read-only images of digits, of 64 pixels from 0 to 1."""
    X = all_digits[0][:150] / 16
    X.flags.writeable = False
    return X


@pytest.fixture
def quick():
    """Return a function that makes an estimator with a short fit to all rows.

    Choosing the number of epochs, with ``early_stopping=True``, would take most of the time.
    """

    from skae import AutoencoderTransformer

    def make(**params):
        defaults = {"n_components": 4, "hidden_layer_sizes": (16,), "max_iter": 3}
        defaults |= {"early_stopping": False, "random_state": 0, "batch_size": 32}
        return AutoencoderTransformer(**defaults | params)

    return make


@pytest.fixture(scope="module")
def few_draws():
    """Average the variance of missing cells over few draws, for tests that need no better fills.

    Filling the usual 4,000 draws takes half the time of a small fit with missing cells. Imputers
    are judged with a single draw of hidden cells instead of five.
    """
    from skae._engine.applying import filling
    from skae._engine.start import incomplete

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(incomplete, "_N_DRAWS", 200)
        patch.setattr(filling, "_N_DRAWS", 1)
        yield


@pytest.fixture(params=["cross_validated", "all_rows", "held_out", "by_autograd"])
def any_autoencoder(request, quick):
    """Return an estimator for each way of training."""
    from torch.optim import Adam

    params = {
        "cross_validated": {"early_stopping": True},
        "all_rows": {"early_stopping": False},
        "held_out": {"early_stopping": True, "learning_rate": "adaptive"},
        "by_autograd": {"early_stopping": True, "net_params": {"optimizer": Adam}},
    }
    return quick(**params[request.param])


@pytest.fixture
def by_onednn(monkeypatch):
    """Use oneDNN for products on any processor, if this build of torch has it."""
    from skae.modules import _products

    if not _products.has_onednn():
        pytest.skip("this build of torch has no oneDNN product")
    monkeypatch.setattr(_products, "prefers_onednn", lambda: True)
