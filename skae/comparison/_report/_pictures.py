"""Pictures of a comparison: curves, maps of codes, reconstructions, errors and training."""

from dataclasses import replace
from itertools import islice

import numpy as np
from sklearn.utils import _safe_indexing

from skae._engine import count_components
from skae.comparison._components_curve import ComponentsCurveDisplay
from skae.comparison._report._picture import (
    Point,
    draw_column_errors,
    escape,
    escape_labels,
    make_figure,
    render,
)
from skae.comparison._results import count_codes
from skae.inspection._code_display import CodeDisplay
from skae.inspection._error_display import ReconstructionErrorDisplay
from skae.inspection._loss_curve import LossCurveDisplay
from skae.inspection._plotting import BLUE, GREY
from skae.inspection._reconstruction_display import ReconstructionDisplay
from skae.inspection._scree import mark_chosen
from skae.metrics._transformer import decode, encode

# More points would hide each other.
_MOST_POINTS = 2000
# Each text takes a hundred bytes of the page.
_MOST_TEXTS, MOST_HOVERED = 300, 6
_N_IMAGES = 6
# Bars of more columns would be thinner than a pixel and take seconds to draw.
_MOST_BARS = 200
_NAMES = {"PCA": "PCA", "FAMD": "FAMD", "autoencoder": "the autoencoder"}


class Illustrator:
    """Pictures of a comparison that do not depend on the kinds of its columns.

    They are of the models with the number of codes of the verdict, and maps of those with
    `n_map_codes`. `methods` has the names of both methods, the linear method first.
    `describe_cells` is a function from the position of a held-out row to lines of text on its first
    cells.
    """

    def __init__(self, comparison, verdict, describe_cells):
        evidence = comparison.evidence
        self.comparison, self.task, self.verdict = comparison, evidence.task, verdict
        self.methods = comparison.reference, "autoencoder"
        n_codes = verdict.autoencoder.n_components
        self._models = {method: evidence.models[n_codes, method] for method in self.methods}
        # A map shows more of a model with two codes than of one with many.
        self.n_map_codes = 2 if (2, "autoencoder") in evidence.models else n_codes
        self._map_models = {
            method: evidence.models[self.n_map_codes, method] for method in self.methods
        }
        n_test = len(self.task.X_test)
        shown = np.linspace(0, n_test - 1, min(n_test, _MOST_POINTS)).astype(int)
        rows = _safe_indexing(self.task.X_test, shown)
        self._codes = {
            method: encode(model, self.task.shape(rows, method))
            for method, model in self._map_models.items()
        }
        self._labels = None if self.task.y_test is None else escape_labels(self.task.y_test[shown])
        every = -(-len(shown) // _MOST_TEXTS)
        self._texts = {
            place: self._describe_row(row, describe_cells)
            for place, row in enumerate(shown)
            if place % every == 0
        }

    def _describe_row(self, row, describe_cells):
        """Return the position of a held-out row, its target, and its first cells."""
        parts = [f"Held-out row {row}"]
        if self.task.y_test is not None:
            parts.append(f"target: {self.task.y_test[row]}")
        return "\n".join([*parts, *describe_cells(row)])

    def draw_curves(self):
        """Yield the share of variance and the score against the number of codes."""
        figure, ax = make_figure(3.6)
        ComponentsCurveDisplay(self.comparison, metric="explained_variance").plot(ax=ax)
        name = self.comparison.reference
        caption = "Share of the variance that is kept."
        if name == "FAMD":
            caption = "Share by which the loss is lower than without codes."
        if self.verdict.pca_curve is not None:
            self._mark_need(ax)
            caption += (
                " The thin line shows PCA with every number of components; the dotted line leads "
                "to the number with which PCA keeps as much. The vertical line marks the number of "
                "components that explain more variance than chance, by parallel analysis."
            )
        alt = f"Curves for {name} and for the autoencoder, against the number of codes. {caption}"
        yield render(figure, alt, caption)
        if self.comparison.score_name is not None:
            figure, ax = make_figure(3.6)
            ComponentsCurveDisplay(self.comparison, metric="downstream_score").plot(ax=ax)
            ax.set_ylabel(f"{self.comparison.score_name}, held-out rows")
            yield render(
                figure,
                f"Curves of {self.comparison.score_name} against the number of codes, for {name} "
                "and for the autoencoder.",
                "How well the same simple model predicts the target from the codes.",
            )

    def _mark_need(self, ax):
        curve, needed = self.verdict.pca_curve, self.verdict.n_needed
        most = self.comparison.results[-1].n_components
        last = max(most, needed or len(curve))
        ax.plot(range(1, last + 1), curve[:last], color=GREY, linewidth=0.8, zorder=1)
        chosen = self.verdict.autoencoder
        if chosen.n_components < (needed or 0):
            share = [chosen.explained_variance] * 2
            ax.plot([chosen.n_components, needed], share, color=BLUE, linestyle=":", linewidth=1.2)
        mark_chosen(ax, count_components(self.task.X_train))
        ax.legend()

    def draw_codes(self):
        """Yield maps of the held-out rows by the first two codes, for both methods."""
        single = self.n_map_codes == 1
        what = "Histogram of the only code" if single else "Points of the first two codes"
        for method in self.methods[::-1]:
            figure, ax = make_figure(3.6)
            CodeDisplay.from_predictions(
                self._codes[method],
                self._labels,
                kind="pairs" if single else "scatter",
                ax=ax,
            )
            colored = "" if self._labels is None else ", coloured by the target"
            if self._labels is None and method == self.comparison.reference:
                for artist in [*ax.collections, *ax.patches]:
                    artist.set_facecolor(GREY)
            caption = f"{what} of {_NAMES[method]}{colored}."
            picture = render(figure, caption, caption)
            points = () if single else self._find_points(figure, ax, self._codes[method])
            yield replace(picture, points=points)

    def _find_points(self, figure, ax, codes):
        """Return the points of rows in the picture, with their descriptions."""
        height, to_pixels = figure.get_size_inches()[1] * 96, 96 / figure.dpi
        places = ax.transData.transform(codes[list(self._texts), :2]) * to_pixels
        return tuple(
            Point(float(x), float(height - y), text)
            for (x, y), text in zip(places, self._texts.values(), strict=True)
        )

    def draw_training(self):
        """Yield the loss curves, if the autoencoder has them."""
        model = self._models["autoencoder"]
        if not hasattr(model, "loss_curve_"):
            return
        figure, ax = make_figure(3.2)
        LossCurveDisplay.from_estimator(model, ax=ax)
        yield render(
            figure,
            "Curves of the loss against the epoch.",
            "Loss by epoch, for training rows and for held-out rows.",
        )


class ArrayIllustrator(Illustrator):
    """Pictures of a comparison on numbers without missing values.

    `image_shape` is the shape of images, None for other rows. `reconstructions` has those of the
    held-out rows by method.
    """

    def __init__(self, comparison, verdict, feature_names, image_shape):
        def describe_cells(row):
            if image_shape is not None:
                return []
            cells = zip(feature_names, comparison.evidence.task.X_test[row], strict=True)
            return [f"{name}: {cell:.4g}" for name, cell in islice(cells, MOST_HOVERED)]

        super().__init__(comparison, verdict, describe_cells)
        self._names = feature_names
        self.feature_names = [escape(name) for name in feature_names]
        self.image_shape = image_shape
        self.reconstructions = {
            method: decode(model, encode(model, self.task.shape(self.task.X_test, method)))
            for method, model in self._models.items()
        }

    def draw_reconstructions(self):
        """Yield held-out rows above their reconstructions."""
        if self.image_shape is not None:
            rows = np.arange(min(_N_IMAGES, len(self.task.X_test)))
            for method in self.methods[::-1]:
                yield self._draw_rows(
                    method, rows, f"Held-out images reconstructed by {_NAMES[method]}"
                )
            return
        errors = np.square(self.task.X_test - self.reconstructions["autoencoder"]).mean(axis=1)
        order = np.argsort(errors, kind="stable")
        for index, which in ((order[len(order) // 2], "median"), (order[-1], "highest")):
            caption = f"The held-out row with the {which} error, reconstructed by the autoencoder"
            yield self._draw_rows("autoencoder", [index], caption)

    def _draw_rows(self, method, rows, caption):
        figure, ax = make_figure(2.9 if self.image_shape else 4.6)
        display = ReconstructionDisplay.from_predictions(
            self.task.X_test[rows],
            self.reconstructions[method][rows],
            kind=self._choose_kind(),
            image_shape=self.image_shape,
            feature_names=self.feature_names,
            ax=ax,
        )
        if self.image_shape is None:
            display.axes_[0, 0].set_title("")
        else:
            self._share_scale([ax.images[0] for ax in display.axes_[2]], rows)
        codes = self.verdict.autoencoder.n_components
        return render(
            figure,
            f"{caption}: the original at the top, the reconstruction from {codes} numbers in the "
            "middle, the difference at the bottom.",
            f"{caption} from {count_codes(codes)}.",
            chart=self.image_shape is None,
        )

    def _share_scale(self, images, rows):
        """Use one colour scale of differences for both methods."""
        differences = [
            self.task.X_test[rows] - self.reconstructions[name][rows] for name in self.methods
        ]
        most = float(np.abs(differences).max()) or 1.0
        for image in images:
            image.set_clim(-most, most)

    def _choose_kind(self):
        if self.image_shape is not None:
            return "image"
        return "bars" if len(self.feature_names) <= _MOST_BARS else "series"

    def draw_codes(self):
        """Yield the maps of codes, and a plane of decoded images if rows are images."""
        yield from super().draw_codes()
        if self.image_shape is not None and self.n_map_codes > 1:
            yield self._draw_plane()

    def _draw_plane(self):
        figure, ax = make_figure(4.2)
        CodeDisplay.from_estimator(
            self._map_models["autoencoder"],
            self.task.X_test[:_MOST_POINTS],
            kind="decoded",
            image_shape=self.image_shape,
            n_steps=11,
            ax=ax,
        )
        others = ", with the others at their mean" if self.n_map_codes > 2 else ""
        caption = f"Images decoded from values of the first two codes{others}."
        return render(figure, f"A grid of images. {caption}", caption, chart=False)

    def draw_errors(self):
        """Yield the errors of the columns: an image for each method, or bars with marks of PCA."""
        if self.image_shape is None:
            yield self._draw_error_bars()
            return
        drawn = {method: self._draw_error_image(method) for method in self.methods[::-1]}
        most = max(display.feature_errors.max() for display in drawn.values())
        for method, display in drawn.items():
            display.ax_.images[0].set_clim(0, most)
            caption = f"Mean squared error of {_NAMES[method]} in each pixel."
            yield render(display.figure_, caption, caption, chart=False)

    def _draw_error_image(self, method):
        _, ax = make_figure(3.4)
        return ReconstructionErrorDisplay.from_predictions(
            self.task.X_test, self.reconstructions[method], image_shape=self.image_shape, ax=ax
        )

    def _draw_error_bars(self):
        errors = {
            name: find_lost_shares(self.task.X_test, rows)
            for name, rows in self.reconstructions.items()
        }
        return draw_column_errors(
            errors["autoencoder"],
            errors["PCA"],
            self._names,
            "share of the variance lost",
            "PCA",
        )


def find_lost_shares(X, reconstructions):
    """Return the share of variance lost in each column, and 0 for constant columns."""
    errors = np.square(X - reconstructions, dtype=np.float64).mean(axis=0)
    variances = X.var(axis=0, dtype=np.float64)
    return np.divide(errors, variances, out=np.zeros_like(errors), where=variances > 0)
