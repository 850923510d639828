"""Outline of the report: its sections in order."""

from pathlib import Path

import numpy as np

from skae._shared.extras import import_extra
from skae._shared.versions import current_versions
from skae.comparison._report._cells import CellView, list_worst_rows
from skae.comparison._report._code import write_code
from skae.comparison._report._meanings import list_cell_meanings, list_meanings
from skae.comparison._report._page import (
    fill_page,
    make_code,
    make_paragraph,
    make_pictures,
    make_section,
    make_table,
)
from skae.comparison._report._pictures import ArrayIllustrator, Illustrator, find_lost_shares
from skae.comparison._report._scores import measure_scores
from skae.comparison._report._sentences import explain_verdict, say_verdict
from skae.comparison._report._verdict import reach_verdict
from skae.comparison._results import count_codes, list_cells, list_headings
from skae.inspection._images import read_image_shape
from skae.inspection._plotting import name_features

_SUFFIXES = (".html", ".htm")
# Columns in the table of errors.
_MOST_COLUMNS = 20


def check_report(path):
    """Return the path of a report, and check that it can be written, before the long computation.

    It must end in .html or .htm and lie in a folder that exists, and matplotlib must be installed.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f"`path` of a report must end in {' or '.join(_SUFFIXES)}. Got {str(path)!r}. "
            "Try report.html."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"`path` of a report must be in an existing folder. Got {str(path)!r}. "
            "Make the folder first."
        )
    if path.is_dir():
        raise IsADirectoryError(
            f"`path` of a report must be a file. Got {str(path)!r}, which is a folder. "
            "Choose another name."
        )
    import_extra("matplotlib", "plot", "to_html")
    return path


def make_report(
    comparison, *, title, feature_names, image_shape, remarks, load_code, command, drop_reasons
):
    """Return the page as HTML; parameters are those of `PCAComparison.to_html`."""
    import_extra("matplotlib", "plot", "to_html")
    evidence = comparison.evidence
    if evidence is None:
        raise ValueError(
            "A comparison must have `evidence` for a report. Got None. "
            "Use a comparison that `compare_with_pca` returned."
        )
    names, image_shape = _read_columns(evidence, feature_names, image_shape)
    verdict = reach_verdict(comparison)
    n_codes, has_target = verdict.autoencoder.n_components, comparison.score_name is not None
    scores = measure_scores(comparison, n_codes) if has_target else None
    illustrate = _illustrate_numbers if evidence.task.is_plain else _illustrate_cells
    masked = bool(comparison.n_missing)
    sections = [
        make_paragraph(" ".join(explain_verdict(verdict, comparison, scores))),
        *map(make_paragraph, remarks),
        *illustrate(comparison, verdict, names, image_shape),
        *_list_dropped({**(drop_reasons or {}), **comparison.drop_reasons}),
        _show_code(write_code(load_code, has_target, n_codes, evidence.options, masked), command),
    ]
    versions = ", ".join(f"{name} {version}" for name, version in current_versions().items())
    sentence, footer = say_verdict(verdict, comparison), f"Made with {versions}."
    return fill_page(title, sentence, sections, footer, comparison.reference)


def _read_columns(evidence, feature_names, image_shape):
    """Return the names of the columns, and the shape of the images if rows are images."""
    names = evidence.feature_names
    if feature_names is not None:
        names = name_features(feature_names, len(names))
    if image_shape is None:
        image_shape = evidence.task.find_image_shape()
    return names, read_image_shape(image_shape, len(names))


def _illustrate_numbers(comparison, verdict, names, image_shape):
    """Return the sections of a comparison on numbers without missing values."""
    illustrator = ArrayIllustrator(comparison, verdict, names, image_shape)
    n_codes, evidence = verdict.autoencoder.n_components, comparison.evidence
    codes = count_codes(n_codes)
    errors = [make_pictures(illustrator.draw_errors())]
    if image_shape is None:
        rows = illustrator.reconstructions
        errors.append(_list_errors(evidence.task, rows, names))
        errors.append(_list_worst_rows(evidence.task.X_test, rows["autoencoder"], names))
    sections = [
        _show_numbers_of_codes(illustrator),
        make_section(
            f"Reconstructions with {codes}", make_pictures(illustrator.draw_reconstructions())
        ),
        _show_map(illustrator),
        make_section(f"Errors with {codes}", *errors),
    ]
    model = evidence.models[n_codes, "autoencoder"]
    if image_shape is None and (meanings := list_meanings(evidence.task, model, names)):
        sections.insert(3, make_section("What the codes stand for", meanings))
    return [*sections, *_show_training(illustrator)]


def _illustrate_cells(comparison, verdict, names, image_shape):
    """Return the sections of a comparison with missing values or columns of several kinds."""
    n_codes, evidence = verdict.autoencoder.n_components, comparison.evidence
    model = evidence.models[n_codes, "autoencoder"]
    view = CellView.make(comparison, n_codes, names)
    illustrator = Illustrator(comparison, verdict, view.describe_cells)
    codes = count_codes(n_codes)
    return [
        _show_numbers_of_codes(illustrator),
        make_section(f"Errors with {codes}", *view.draw_errors()),
        make_section(
            "What the codes stand for", list_cell_meanings(evidence.task, model, view.errors.names)
        ),
        _show_map(illustrator),
        make_section(f"Reconstructions with {codes}", view.list_worst_rows(), *view.list_rows()),
        *_show_training(illustrator),
    ]


def _show_numbers_of_codes(illustrator):
    return make_section(
        "By number of codes",
        make_pictures(illustrator.draw_curves()),
        _list_results(illustrator.comparison, illustrator.verdict),
    )


def _show_map(illustrator):
    n_codes = illustrator.n_map_codes
    name = f"Map of {count_codes(n_codes)}" if n_codes < 3 else f"Map of 2 of {n_codes} codes"
    return make_section(name, make_pictures(illustrator.draw_codes()))


def _show_training(illustrator):
    """Return the section on training, or no section if the autoencoder has no loss curve."""
    pictures = list(illustrator.draw_training())
    codes = count_codes(illustrator.verdict.autoencoder.n_components)
    return [make_section(f"Training with {codes}", make_pictures(pictures))] if pictures else []


def _list_dropped(reasons):
    """Return the section on columns left out, or no section if there are none."""
    if not reasons:
        return []
    caption = f"{len(reasons)} column{'s' * (len(reasons) > 1)} of the data, with the reasons."
    rows = [[str(name), reason] for name, reason in reasons.items()]
    return [make_section("Columns left out", make_table(caption, ["column", "reason"], rows))]


def _list_results(comparison, verdict):
    chosen = {comparison.results.index(result) for result in (verdict.pca, verdict.autoencoder)}
    name = comparison.reference
    figures = (
        f"Squared error per cell on held-out rows, its ratio to {name}'s with as many codes, the "
        "share of variance kept,"
    )
    if name == "FAMD":
        figures = (
            "Loss per cell on held-out rows, in units of the baselines of the columns, its ratio "
            "to FAMD's with as many codes, the share of the loss saved,"
        )
    caption = f"{figures} and seconds to fit and to compute codes."
    if name == "FAMD":
        caption += " Then the mean negative log-likelihood of the cells in nats (standardised)."
    if comparison.score_name is not None:
        caption += f" Last, the {comparison.score_name} of predictions of the target from codes."
    rows = [list_cells(result) for result in comparison.results]
    return make_table(caption, list_headings(comparison.score_name, name), rows, chosen)


def _list_errors(task, reconstructions, names):
    errors = {name: find_lost_shares(task.X_test, rows) for name, rows in reconstructions.items()}
    order = np.argsort(-errors["autoencoder"], kind="stable")[:_MOST_COLUMNS]
    caption = "Share of each column's variance lost on the held-out rows, highest first."
    if len(order) < len(names):
        caption = f"{caption[:-1]}: {len(order)} of {len(names)}."
    rows = [
        [names[index], *(f"{errors[method][index]:.1%}" for method in ("autoencoder", "PCA"))]
        for index in order
    ]
    return make_table(caption, ["column", "autoencoder", "PCA"], rows)


def _list_worst_rows(X_test, reconstructions, names):
    def explain_cell(row, column):
        cell, reconstruction = X_test[row, column], reconstructions[row, column]
        return f"{names[column]}: {cell:.3g} (reconstructed {reconstruction:.3g})"

    squares = np.square(X_test - reconstructions, dtype=np.float64)
    return list_worst_rows(squares.mean(axis=1), squares, explain_cell)


def _show_code(code, command):
    parts = [make_code(code)]
    if command is not None:
        parts += [make_paragraph("This page, from the command line:"), make_code(command)]
    return make_section("Reproduce this page", *parts)
