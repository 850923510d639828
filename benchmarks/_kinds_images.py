"""Images: dense layers and convolutions, by error, weights and seconds."""

import time

from _common import print_table
from _curve import fit_with_curve, judge
from _generation_data import load_images
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

_N_COMPONENTS = 32
_ARCHITECTURES = ("dense", "conv")


def report_images(options):
    """Print errors on test images, and draw them against the seconds of a processor."""
    images = load_images(options)
    n_components = (options.codes or [_N_COMPONENTS])[0]
    pca = PCA(n_components, svd_solver="covariance_eigh").fit(images.X_train)
    errors, rows, curves = {"PCA": judge(pca, images.X_test)}, [], {}
    rows.append(["PCA", errors["PCA"], None, None, None, None])
    for name in _ARCHITECTURES:
        model = make_model(name, images.side, n_components, options)
        curve = fit_with_curve(model, images.X_train, images.X_test, clock=time.process_time)
        errors[name], curves[name] = judge(model, images.X_test), curve.points
        rows.append(
            [
                name,
                errors[name],
                errors[name] / errors["dense"],
                sum(weights.numel() for weights in model.net_.module_.parameters()),
                model.n_iter_,
                curve.points[-1][1],
            ]
        )
    print_table(
        f"{images.name}, {len(images.X_train)} to train on, {n_components} codes: squared error "
        "per test image; aim: 0.85 of dense, with no more weights",
        ["", "error", "over dense", "weights", "epochs", "processor s"],
        rows,
    )
    if options.output:
        draw(curves, errors, f"{images.name}, {n_components} codes", options.output)


def make_model(architecture, side, n_components, options):
    """Return the estimator, which holds out rows to choose the epoch even for few rows."""
    params = {
        "architecture": architecture,
        "sample_shape": (1, side, side),
        "max_iter": options.epochs or "auto",
        "random_state": 0,
    }
    return AutoencoderTransformer(n_components, **(params | options.set))


def draw(curves, errors, title, path):
    """Plot the errors against the seconds, both on logarithmic axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        _, seconds, values = zip(*points, strict=True)
        (line,) = axes.plot(seconds, values, marker=".", label=f"{name}, after each epoch")
        axes.axhline(errors[name], color=line.get_color(), linewidth=0.8, linestyle=":")
    axes.axhline(errors["PCA"], color="0.4", linewidth=1, linestyle="--", label="PCA")
    axes.set(xscale="log", yscale="log", title=title)
    axes.set_xlabel("seconds of a processor, from the beginning of the fit")
    axes.set_ylabel("squared error per test image")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.legend()
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
    print(f"\n{path} shows the errors against the seconds; dotted: what fit leaves behind.")
