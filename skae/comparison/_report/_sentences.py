"""Verdict of a comparison in sentences."""

from skae.comparison._repeats import all_splits_agree, describe_splits
from skae.comparison._results import count_codes, format_ratio

# With fewer rows in all, no split shows which method is better.
_TOO_FEW_ROWS = 50
# With fewer held-out rows, another split may well reverse the verdict.
_FEW_ROWS = 50
_FAMD = (
    "FAMD, factor analysis of mixed data, is the linear method for tables of numbers and "
    "categories. The loss of a number is its squared error divided by its variance, and that of a "
    "category its cross-entropy divided by the entropy of the shares: without codes, both are 1."
)
_SCORES = {
    "accuracy": ("an accuracy", "A logistic regression"),
    "R2": ("an R\N{SUPERSCRIPT TWO}", "A ridge regression"),
}


def say_verdict(verdict, comparison):
    """Return the verdict in one sentence."""
    n_rows = comparison.n_train + comparison.n_test
    if n_rows < _TOO_FEW_ROWS:
        return f"No verdict: {n_rows} rows are too few to tell which method is better."
    if not all_splits_agree(comparison, verdict.autoencoder.n_components):
        return (
            f"No clear gain: whether {comparison.reference} or the autoencoder has the lower error "
            "depends on the held-out rows."
        )
    if comparison.reference == "FAMD":
        return _say_loss(verdict)
    return _say_variance(verdict, comparison)


def _say_loss(verdict):
    """Return a sentence on the reduction of the loss of mixed columns."""
    famd, autoencoder = verdict.pca, verdict.autoencoder
    ratio, share = round(autoencoder.error_ratio, 2), format_share(autoencoder.explained_variance)
    n_codes, of_famd = autoencoder.n_components, format_share(famd.explained_variance)
    codes = count_codes(n_codes)
    if verdict.matched is not None and ratio < 1:
        verb = "is" if n_codes == 1 else "are"
        return (
            f"{codes} {verb} as good as {verdict.matched.n_components} components of FAMD: the "
            f"loss is {share} lower than without codes."
        )
    if ratio < 1:
        verb = "lowers" if n_codes == 1 else "lower"
        return f"{codes} {verb} the loss by {share}, as many components of FAMD by {of_famd}."
    if ratio > 1:
        return (
            f"FAMD is better here: with {codes} it lowers the loss by {of_famd}, the autoencoder "
            f"by {share}."
        )
    return f"No gain: with {codes}, FAMD and the autoencoder lower the loss by {of_famd}."


def _say_variance(verdict, comparison):
    """Return a sentence on the share of variance that is kept."""
    pca, autoencoder = verdict.pca, verdict.autoencoder
    ratio = round(autoencoder.error_ratio, 2)
    n_codes, share = autoencoder.n_components, format_share(autoencoder.explained_variance)
    of_pca = format_share(pca.explained_variance)
    verb = "keeps" if n_codes == 1 else "keep"
    kept = f"{count_codes(n_codes)} {verb}"
    if verdict.matched is not None and ratio < 1:
        n_components = verdict.matched.n_components
        return f"{kept} as much as {n_components} components of PCA: {share} of the variance."
    if ratio < 1 and verdict.pca_curve is None:
        return f"{kept} {share} of the variance, as many components of PCA {of_pca}."
    if ratio < 1:
        return f"{kept} {share} of the variance; {_say_need(verdict, comparison)}."
    if ratio > 1:
        return (
            f"PCA is better here: with {count_codes(n_codes)} it keeps {of_pca} of the variance, "
            f"the autoencoder {share}."
        )
    return (
        f"No gain: with {count_codes(n_codes)}, PCA and the autoencoder keep {of_pca} of the "
        "variance."
    )


def _say_need(verdict, comparison):
    most, n_needed = len(verdict.pca_curve), verdict.n_needed
    if n_needed is None:
        return f"PCA keeps {format_share(verdict.pca_curve[-1])} even with all {most} it can have"
    as_many = ", as many as there are columns" if n_needed == comparison.n_features else ""
    return f"PCA needs {n_needed} for that{as_many}"


def explain_verdict(verdict, comparison, scores=None):
    """Return sentences on rows, errors, units and, with `scores`, predictions of the target."""
    autoencoder, reference = verdict.autoencoder, comparison.reference
    codes = count_codes(autoencoder.n_components)
    measure = "squared error" if reference == "PCA" else "loss"
    sentences = [
        f"Both were fitted on {comparison.n_train} rows of {comparison.n_features} columns and "
        f"evaluated on {comparison.n_test} held-out rows.",
        f"With {codes} the autoencoder's {measure} there is "
        f"{format_ratio(autoencoder.error_ratio)} times {reference}'s{_count_others(comparison)}.",
        describe_splits(comparison),
        _FAMD if reference == "FAMD" else "",
    ]
    if comparison.n_missing:
        sentences.append(
            f"{comparison.n_missing} cells are missing; models and errors use the others."
        )
    if scores is not None:
        sentences.append(_explain_scores(scores, comparison, codes))
    if comparison.evidence.options["standardize"]:
        sentences.append(
            "Each column was first scaled to mean 0 and standard deviation 1; all values and "
            "errors are in these units."
        )
    if comparison.n_test < _FEW_ROWS and not comparison.repeats:
        sentences.append(
            f"{comparison.n_test} held-out rows are few: other rows may change the verdict."
        )
    return [sentence for sentence in sentences if sentence]


def _explain_scores(scores, comparison, codes):
    score, model = _SCORES[comparison.score_name]
    return (
        f"{model} of the target on {codes} reaches {score} of {scores.autoencoder}, and on as many "
        f"components of {comparison.reference} {scores.pca}; the difference is "
        f"{scores.difference}. Brackets show 95\N{NO-BREAK SPACE}% intervals over "
        f"{'splits' if comparison.repeats else 'held-out rows'}."
    )


def _count_others(comparison):
    results, name = comparison.results[1::2], comparison.reference
    if len(results) < 2:
        return ""
    n_better = sum(round(result.error_ratio, 2) < 1 for result in results)
    count = f"{n_better or 'none'} of the {len(results)}"
    return f"; it is below {name}'s at {count} numbers of codes tried"


def format_share(share):
    """Return a share in percent, with enough digits to tell it from 100 %."""
    digits = 0 if share < 0.99 else 1 if share < 0.999 else 2
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"
