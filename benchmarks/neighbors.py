"""Share of nearest neighbours of held-out rows that codes keep, for skae and linear rivals.

Rows are fitted to, more rows join them in a database, and the ten nearest rows of the database are
looked for, for rows that stand in neither. See README.md.
"""

import sys
from dataclasses import dataclass

import numpy as np
from _common import (
    describe_machine,
    has_data,
    is_installed,
    limit_threads,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.random_projection import GaussianRandomProjection

from skae import AutoencoderTransformer
from skae.codes import Quantizer
from skae.datasets import load_film_reviews, load_mnist
from skae.metrics import neighbors_kept
from skae.objectives import NeighborLoss

_K = 10
_LINEAR = ("pca", "svd", "half_whitened")


@dataclass(frozen=True)
class Vectors:
    """Training rows, further rows of the database, and queries."""

    fitted: np.ndarray
    joining: np.ndarray
    queries: np.ndarray
    metric: str

    def measure(self, encode):
        """Return the share of the queries' neighbours that codes keep."""
        rows = [self.fitted, self.joining, self.queries]
        codes = np.vstack([encode(part) for part in rows])
        n_queries = len(self.queries)
        return neighbors_kept(np.vstack(rows), codes, k=_K, metric=self.metric, n_queries=n_queries)


class HalfWhitened:
    """PCA with codes divided by the square roots of their standard deviations."""

    def __init__(self, n_components):
        self.pca = PCA(n_components, random_state=0)

    def fit(self, X):
        """Fit the PCA."""
        self.pca.fit(X)
        return self

    def transform(self, X):
        """Return the codes."""
        return self.pca.transform(X) / self.pca.explained_variance_**0.25


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    with quiet(), limit_threads(options.threads):
        print(describe_machine())
        for name in options.datasets:
            vectors = DATA_SETS[name](options)
            if vectors is not None:
                run(name, vectors, options)


def parse_options(arguments):
    """Return the options; --quick shortens everything that is not given."""
    parser = make_parser(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=DATA_SETS, metavar="NAME")
    parser.add_argument("--codes", nargs="+", type=int, metavar="K")
    parser.add_argument("--vectors", help="NPY or NPZ file of rows, in X, for --datasets file")
    parser.add_argument("--metric", choices=("cosine", "euclidean"), default="cosine")
    parser.add_argument("--rows", type=int, default=6500, help="rows of the file to fit on")
    parser.add_argument("--bits", type=int, default=4, help="bits of packed codes; 4 by default")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="1 by default")
    options = parser.parse_args(arguments)
    usual = ("digits",) if options.quick else tuple(DATA_SETS)
    options.datasets = options.datasets or (("file",) if options.vectors else usual)
    options.codes = options.codes or ([4, 8] if options.quick else [16, 32, 64])
    return options


def run(name, vectors, options):
    """Fit all methods to one set of rows, and print its tables."""
    rows, times = [], []
    for n_codes in (k for k in options.codes if k <= vectors.fitted.shape[1]):
        kept, seconds = measure_all(vectors, n_codes, options)
        best = max(kept[rival] for rival in _LINEAR)
        rows.append([str(n_codes), *kept.values(), kept["skae"] / best])
        times.append([str(n_codes), *seconds])
        print(f"{name} with {n_codes} codes is done", file=sys.stderr, flush=True)
    n_fitted, n_known = len(vectors.fitted), len(vectors.fitted) + len(vectors.joining)
    title = (
        f"{name}: share of the ten nearest by {vectors.metric} that are kept, "
        f"{len(vectors.queries)} rows among {n_known}, {n_fitted} fitted to"
    )
    print_table(title, ["codes", *kept, "skae/best linear"], rows)
    header = ["codes", "seconds to fit", "rows placed in a second", "error/PCA's"]
    print_table(f"{name}: time, and error of the reconstructions", header, times)


def measure_all(vectors, n_codes, options):
    """Return the share kept by each method, and the time, speed and error of skae."""
    runs = [measure_ours(vectors, n_codes, seed, options) for seed in range(options.seeds)]
    shares, packed, *others = np.mean(runs, axis=0)
    kept = {"skae": float(shares), f"skae, {options.bits} bits": float(packed)}
    for rival, make in RIVALS.items():
        if rival != "umap" or (not options.quick and is_installed("umap")):
            kept[rival] = vectors.measure(make(n_codes, vectors).fit(vectors.fitted).transform)
    return kept, [float(value) for value in others]


def measure_ours(vectors, n_codes, seed, options):
    """Return shares kept by codes of skae and by few bits, seconds, speed, and error over PCA's."""
    settings = {"random_state": seed, **options.set}
    model = AutoencoderTransformer(n_codes, loss=NeighborLoss(vectors.metric), **settings)
    _, seconds = time_call(model.fit, vectors.fitted)
    quantizer = Quantizer(options.bits).fit(model.transform(vectors.fitted))

    def pack(X):
        integers = quantizer.transform(model.transform(X))
        return quantizer.inverse_transform(quantizer.unpack(quantizer.pack(integers)))

    many = np.tile(vectors.queries, (1 + 20_000 // len(vectors.queries), 1))
    _, placing = time_call(model.transform, many)
    pca = PCA(n_codes, random_state=0).fit(vectors.fitted)
    errors = [
        np.square(own.inverse_transform(own.transform(vectors.queries)) - vectors.queries).mean()
        for own in (model, pca)
    ]
    shares = vectors.measure(model.transform), vectors.measure(pack)
    return *shares, seconds, len(many) / placing, errors[0] / errors[1]


def make_umap(n_codes, vectors):
    """Return UMAP with the given number of codes."""
    from umap import UMAP

    return UMAP(n_components=n_codes, metric=vectors.metric, random_state=0)


RIVALS = {
    "pca": lambda n_codes, vectors: PCA(n_codes, random_state=0),
    "svd": lambda n_codes, vectors: TruncatedSVD(n_codes, algorithm="arpack", random_state=0),
    "half_whitened": lambda n_codes, vectors: HalfWhitened(n_codes),
    "random": lambda n_codes, vectors: GaussianRandomProjection(n_codes, random_state=0),
    "umap": make_umap,
}


def split(X, n_fitted, n_joining, n_queries, metric):
    """Return rows split into consecutive parts."""
    n_known = n_fitted + n_joining
    return Vectors(X[:n_fitted], X[n_fitted:n_known], X[n_known : n_known + n_queries], metric)


def read_file(options):
    """Return the rows of --vectors, or None without the option."""
    if not options.vectors:
        print("file is left out; --vectors names one.")
        return None
    found = np.load(options.vectors)
    X = (found if isinstance(found, np.ndarray) else found["X"]).astype(np.float32)
    n_queries = (len(X) - options.rows) * 2 // 7
    return split(X, options.rows, len(X) - options.rows - n_queries, n_queries, options.metric)


def load_images(options):
    """Return the small images of digits, compared by distance."""
    X = load_digits().data.astype(np.float32) / 16
    return split(X, 1000, 400, 397, "euclidean")


def load_reviews(options):
    """Return sentences of film reviews as TF-IDF reduced to 256 numbers, like embeddings."""
    if not has_data("reviews", "reviews.jsonl.gz"):
        return None
    lines = [line for text in load_film_reviews().text for line in text.split("\n")]
    lines = [line for line in lines if len(line.split()) > 15][:10_000]
    table = TfidfVectorizer(min_df=3, sublinear_tf=True).fit_transform(lines)
    X = TruncatedSVD(256, random_state=0).fit_transform(table).astype(np.float32)
    return split(X, len(X) * 13 // 20, len(X) // 4, len(X) // 10, "cosine")


def load_mnist_images(options):
    """Return images of MNIST, compared by distance."""
    if not has_data("mnist", "mnist.npz"):
        return None
    X = load_mnist().X_train[:8000]
    return split(X, 5000, 2000, 1000, "euclidean")


DATA_SETS = {
    "digits": load_images,
    "mnist": load_mnist_images,
    "reviews": load_reviews,
    "file": read_file,
}

if __name__ == "__main__":
    main()
