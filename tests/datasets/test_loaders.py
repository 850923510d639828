"""Loaders, on small files of the same layout, and on the real files if available."""

import gzip
import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae.datasets import load_digit_images, load_film_reviews, load_mnist, load_spoken_digits


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def small_mnist(folder):
    # Every pixel of a row shows its digit, to check that rows and labels stay together.
    y = np.repeat(np.arange(10, dtype=np.uint8), 3)
    X = np.repeat(y[:, np.newaxis] * np.uint8(25), 784, axis=1)
    np.savez(folder / "mnist.npz", X_train=X, y_train=y, X_test=X[::2], y_test=y[::2])
    return y


def test_mnist_pixels_are_shares(small_mnist):
    mnist = load_mnist()
    assert mnist.X_train.dtype == np.float32
    assert mnist.X_train.shape == (30, 784)
    assert mnist.X_test.shape == (15, 784)
    assert mnist.X_train.max() == pytest.approx(225 / 255)


def test_mnist_is_shuffled_rows_and_labels_together(small_mnist):
    mnist = load_mnist()
    assert not np.array_equal(mnist.y_train, small_mnist)
    np.testing.assert_array_equal(np.sort(mnist.y_train), small_mnist)
    for part in ("train", "test"):
        digits = np.rint(mnist[f"X_{part}"][:, 0] * 255 / 25)
        np.testing.assert_array_equal(digits, mnist[f"y_{part}"])


def test_mnist_order_follows_seed(small_mnist):
    np.testing.assert_array_equal(load_mnist().y_train, load_mnist().y_train)
    assert not np.array_equal(load_mnist().y_train, load_mnist(random_state=1).y_train)
    np.testing.assert_array_equal(load_mnist(shuffle=False).y_train, small_mnist)


def test_mnist_missing_names_the_usual_route(monkeypatch):
    monkeypatch.delenv("SKAE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="fetch_openml"):
        load_mnist()


def test_digit_images_are_mnist_where_its_file_is(small_mnist):
    images = load_digit_images()
    np.testing.assert_array_equal(images.X_train, load_mnist().X_train)
    assert images.image_shape == (28, 28)


def test_digit_images_are_scikit_learns_otherwise(monkeypatch):
    monkeypatch.delenv("SKAE_DATA", raising=False)
    images = load_digit_images(random_state=1)
    ours = np.concatenate([images.X_train, images.X_test])
    labels = np.concatenate([images.y_train, images.y_test])
    X, y = load_digits(return_X_y=True)
    # The shuffled images are a permutation of the others, with their labels.
    theirs = np.column_stack([X, y])
    mine = np.column_stack([ours * 16, labels])
    assert not np.array_equal(theirs, mine)
    np.testing.assert_array_equal(np.unique(theirs, axis=0), np.unique(mine, axis=0))
    assert mine.shape == theirs.shape
    assert images.image_shape == (8, 8)


def test_spoken_digits_are_cut_by_length(folder):
    np.savez(
        folder / "fsdd.npz",
        audio=np.arange(9, dtype=np.int16),
        length=np.array([2, 4, 3], dtype=np.int32),
        digit=np.array([0, 1, 2], dtype=np.uint8),
        speaker=np.array(["ada", "bob", "ada"]),
        take=np.array([0, 5, 10], dtype=np.uint8),
    )
    spoken = load_spoken_digits()
    assert [recording.tolist() for recording in spoken.audio] == [[0, 1], [2, 3, 4, 5], [6, 7, 8]]
    assert spoken.sample_rate == 8000
    assert spoken.speaker.tolist() == ["ada", "bob", "ada"]


def test_film_reviews_keep_text_label_and_fold_together(folder):
    reviews = [{"text": "good", "label": 1, "fold": 3}, {"text": "bad", "label": 0, "fold": 7}]
    with gzip.open(folder / "reviews.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(review) + "\n" for review in reviews)
    loaded = load_film_reviews()
    assert loaded.text == ["good", "bad"]
    assert loaded.label.tolist() == [1, 0]
    assert loaded.fold.tolist() == [3, 7]


@pytest.mark.slow
@pytest.mark.needs_data("mnist.npz")
def test_real_mnist_starts_with_all_digits():
    mnist = load_mnist()
    assert mnist.X_train.shape == (60_000, 784)
    assert mnist.X_test.shape == (10_000, 784)
    assert set(mnist.y_train[:200]) == set(mnist.y_test[:200]) == set(range(10))


@pytest.mark.needs_data("fsdd.npz")
def test_real_spoken_digits_are_whole():
    spoken = load_spoken_digits()
    assert len(spoken.audio) == len(spoken.digit) == len(spoken.take) == 3000
    assert min(map(len, spoken.audio)) > 1000
    assert np.isin(spoken.take, range(50)).all()


@pytest.mark.needs_data("reviews.jsonl.gz")
def test_real_film_reviews_are_balanced():
    reviews = load_film_reviews()
    assert len(reviews.text) == 2000
    assert reviews.label.mean() == 0.5
    assert set(reviews.fold) == set(range(10))
