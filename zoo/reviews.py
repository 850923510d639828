"""Recipes of the models of texts, from film reviews; needs ``reviews.jsonl.gz`` in `SKAE_DATA`.

``python zoo/reviews.py reviews-tfidf-32`` makes one model, ``python zoo/reviews.py`` both.
"""

import numpy as np
from _recipes import compare, halved, round_figure, run, show_bars
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, TokenAutoencoderTransformer
from skae.datasets import load_film_reviews
from skae.text import TokenSequencer

_HELD_OUT_FOLD = 9
_N_WORDS, _N_SENTENCES, _LONGEST = 1000, 8000, 15


def load():
    """Return training reviews, and reviews of a held-out fold."""
    reviews = load_film_reviews()
    held_out = reviews.fold == _HELD_OUT_FOLD
    return [[reviews.text[i] for i in np.flatnonzero(part)] for part in (~held_out, held_out)]


def split_sentences(texts):
    """Return sentences of 4 to 15 words, in random order."""
    sentences = [line.strip() for text in texts for line in text.splitlines()]
    sentences = [line for line in sentences if 4 <= len(line.split()) <= _LONGEST]
    order = np.random.default_rng(0).permutation(len(sentences))
    return [sentences[i] for i in order]


def make_card(kind, title, what, text, figures, **more):
    return {
        "title": title,
        "kind": kind,
        "data": f"{what} of folds 0 to 8 of the film reviews by B. Pang and L. Lee, polarity "
        "dataset 2.0",
        "licence": "the reviews are for research use; the model holds no text but single words",
        "input": text,
        **more,
        "figures": figures,
    }


def make_tfidf():
    train, test = load()
    vectorizer = TfidfVectorizer(max_features=_N_WORDS, stop_words="english", sublinear_tf=True)
    X, X_test = (
        own.astype(np.float32)
        for own in (vectorizer.fit_transform(train), vectorizer.transform(test))
    )
    model = AutoencoderTransformer(32, hidden_layer_sizes=(128,), max_iter=30, random_state=0)
    model = halved(model.fit(X))
    figures = compare(model, X.toarray(), X_test.toarray())
    card = make_card(
        "TF-IDF",
        "dense autoencoder of the TF-IDF of film reviews",
        "1800 reviews",
        "TF-IDF of 1000 words: TfidfVectorizer(sublinear_tf=True, "
        'vocabulary=card["vocabulary"]) with idf_ = np.array(card["idf"])',
        figures,
        vocabulary=vectorizer.get_feature_names_out().tolist(),
        idf=[round_figure(weight) for weight in vectorizer.idf_],
    )
    errors = {name: own for name, own in figures.items() if isinstance(own, float)}
    return model, card, show_bars(errors, "squared error per cell of held-out reviews")


def make_tokens():
    train, test = map(split_sentences, load())
    train, test = train[:_N_SENTENCES], test[:1000]
    autoencoder = TokenAutoencoderTransformer(
        32, max_iter=8, learning_rate_init=0.006, random_state=0
    )
    sequencer = TokenSequencer(max_length=_LONGEST, max_features=1500)
    model = halved(make_pipeline(sequencer, autoencoder).fit(train))
    start = clone(model)
    start[-1].set_params(max_iter=1, early_stopping=False, learning_rate_init=1e-12)
    figures = {
        "held-out sentences": len(test),
        "nats per word": round_figure(-model.score(test)),
        "latent semantic analysis of as many codes": round_figure(-start.fit(train).score(test)),
    }
    card = make_card(
        "tokens",
        "autoencoder of sentences from film reviews, word by word",
        f"{len(train)} sentences of 4 to {_LONGEST} words",
        "list of texts, words separated by blanks",
        figures,
    )
    losses = {name: own for name, own in figures.items() if isinstance(own, float)}
    return model, card, show_bars(losses, "cross-entropy of held-out sentences, in nats per word")


if __name__ == "__main__":
    run({"reviews-tfidf-32": make_tfidf, "reviews-tokens-32": make_tokens})
