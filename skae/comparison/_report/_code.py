"""Python code that reproduces a report."""

_PLAIN = (bool, int, float, str, type(None))


def write_code(load_code, has_target, n_codes, options, masked):
    """Return Python code that repeats the comparison and fits the autoencoder of the report.

    `load_code` creates X (and y, X_test and y_test if they were given); None leaves a comment in
    its place. Of `options`, those of `compare_with_pca`, values that cannot be written as literals
    appear under the name of the parameter. In the code, `model` is fitted on all rows of X.
    """
    given = {name: value for name, value in options.items() if value is not None}
    arguments = ["X", *(["y"] if has_target else [])]
    arguments += [f"{name}={_write_value(name, value)}" for name, value in given.items()]
    model = _write_model(n_codes, options, masked)
    if options["standardize"]:
        model = f"make_pipeline(StandardScaler(), {model})"
    lines = [
        *_list_imports(options),
        "",
        load_code or f"# {'X and y are' if has_target else 'X is'} the data of this page.",
        "",
        "comparison = compare_with_pca(",
        *(f"    {argument}," for argument in arguments),
        ")",
        "print(comparison)",
        "",
        f"# The autoencoder with {n_codes} code{'s' * (n_codes > 1)}, on all rows of X:",
        f"model = {model}",
        "codes = model.fit_transform(X)",
    ]
    return "\n".join(lines)


def _list_imports(options):
    lines = []
    if options["estimator"] is not None:
        lines.append("from sklearn.base import clone")
    if options["standardize"]:
        lines.append("from sklearn.pipeline import make_pipeline")
        lines.append("from sklearn.preprocessing import StandardScaler")
    if options["estimator"] is None:
        lines.append("from skae import AutoencoderTransformer")
    return [*lines, "from skae.comparison import compare_with_pca"]


def _write_model(n_codes, options, masked):
    if options["estimator"] is not None:
        return f"clone(estimator).set_params(n_components={n_codes})"
    seed = _write_value("random_state", options["random_state"])
    missing = ", missing='mask'" if masked else ""
    return f"AutoencoderTransformer(n_components={n_codes}{missing}, random_state={seed})"


def _write_value(name, value):
    if name == "n_components":
        return repr(tuple(value))
    return repr(value) if isinstance(value, _PLAIN) else name
