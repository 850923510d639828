"""Plots of rows as images."""

from math import isqrt
from numbers import Integral

import numpy as np

from skae._shared.checks import check_choice

KINDS = ("image", "series", "bars")


def read_image_shape(image_shape, n_features):
    """Return the checked shape of images as numbers, or None.

    It is (height, width), or (channels, height, width) with one or three channels. "square" means
    that height and width are the square root of the number of features.
    """
    if image_shape is None:
        return None
    if isinstance(image_shape, str):
        side = isqrt(n_features)
        if image_shape != "square" or side**2 != n_features:
            raise ValueError(
                "`image_shape` must be (height, width), or 'square' if the number of features is a "
                f"square. Got {image_shape!r} for {n_features} features. Give height and width."
            )
        return side, side
    shape = tuple(image_shape)
    whole = all(isinstance(side, Integral) and int(side) > 0 for side in shape)
    channels = shape[0] if len(shape) == 3 else 1
    if not whole or len(shape) not in (2, 3) or channels not in (1, 3):
        raise ValueError(
            "`image_shape` must be (height, width), or (channels, height, width) with 1 or 3 "
            f"channels. Got {image_shape!r}. Try image_shape='square'."
        )
    if np.prod(shape) != n_features:
        raise ValueError(
            f"`image_shape` must have as many pixels as rows have features, {n_features}. Got "
            f"{shape}, which has {np.prod(shape)}. Give the height and width of the images."
        )
    return tuple(int(side) for side in shape)


def choose_kind(kind, image_shape):
    """Return the checked kind of plot of rows: "image", "series" or "bars".

    None becomes "image" if there is an image shape, and "bars" otherwise.
    """
    if kind is None:
        return "bars" if image_shape is None else "image"
    check_choice("kind", kind, KINDS, "Try kind='bars'.")
    if kind == "image" and image_shape is None:
        raise ValueError(
            "`image_shape` must be given with kind='image'. Got None. "
            "Try image_shape=(28, 28), or 'square'."
        )
    return kind


def draw_image(ax, row, image_shape, limits, cmap):
    """Draw one row as an image, and return its artist.

    `image_shape` is (height, width) or (channels, height, width), and `limits` are the values at
    the ends of the colour map.
    """
    low, high = limits
    image = row.reshape(image_shape)
    if len(image_shape) == 3 and image_shape[0] == 1:
        image = image[0]
    if image.ndim == 3:
        scaled = (image - low) / (high - low) if high > low else np.zeros(image_shape)
        artist = ax.imshow(np.clip(np.moveaxis(scaled, 0, -1), 0, 1))
    else:
        artist = ax.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return artist


def average_channels(rows, image_shape):
    """Return rows as grey images, of shape (n_rows, height, width)."""
    return rows.reshape(len(rows), -1, *image_shape[-2:]).mean(axis=1)


def draw_mosaic(ax, tiles, tile_values, image_shape, **kwargs):
    """Draw images side by side, on axes with the values of two codes, and return the artist.

    `tiles` has shape (n_steps, n_steps, n_features), along whose second axis the first code
    changes, and `tile_values` the ascending values of both codes. Further arguments are those of
    `Axes.imshow`.
    """
    height, width = image_shape[-2:]
    n_steps = len(tiles)
    # Rows of an image run downwards, but values of the second code upwards.
    pixels = tiles[::-1].reshape(n_steps, n_steps, -1, height, width).transpose(0, 3, 1, 4, 2)
    mosaic = pixels.reshape(n_steps * height, n_steps * width, -1)
    low, high = float(mosaic.min()), float(mosaic.max())
    if mosaic.shape[2] == 3:
        mosaic = (mosaic - low) / max(high - low, np.finfo(float).tiny)
    else:
        mosaic = mosaic[..., 0]
    steps = tile_values[:, 1] - tile_values[:, 0]
    (left, right), (bottom, top) = np.stack(
        [tile_values[:, 0] - steps / 2, tile_values[:, -1] + steps / 2], axis=1
    )
    style = {
        "cmap": "gray",
        "extent": (left, right, bottom, top),
        # Keeps the shape of the images for any units of the codes.
        "aspect": (height * steps[0]) / (width * steps[1]),
    }
    return ax.imshow(mosaic, **{**style, **kwargs})
