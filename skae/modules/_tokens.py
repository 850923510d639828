"""Autoencoder of texts, from words to probabilities of words."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from skae.modules._reach import INPUT_LIMIT
from skae.modules._recording import is_recording
from skae.modules._recurrent import RecurrentDecoder, RecurrentEncoder, find_longest

# Below this share of the frequency of a word, a straight line replaces the logarithm.
_CLIP = 0.05
# Maximum number of logits computed at once.
_CELLS_AT_ONCE = 2**20


class WordPath(nn.Module):
    """Linear path from the words of a text to a code, and back to words, ignoring their order.

    It starts as latent semantic analysis: the code is a projection of the weighted shares of words
    in a text, minus their means. A code is decoded to the logarithms of back-projected shares. Code
    zero gives the logarithms of the frequencies of the words.

    Parameters
    ----------
    axes : Tensor of shape (n_components, n_tokens)
        Orthonormal axes in the space of weighted shares.
    word_weights : Tensor of shape (n_tokens,)
        Positive factors of the shares.
    frequencies : Tensor of shape (n_tokens,)
        Positive mean share of each token, including the end of a text, token 0.
    means : Tensor of shape (n_tokens,)
        Mean shares of the words in texts, excluding the ends.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import WordPath
    >>> path = WordPath(torch.eye(1, 3), torch.ones(3), torch.full((3,), 1 / 3), torch.zeros(3))
    >>> path.encode(torch.tensor([[1, 2, 0]])).shape
    torch.Size([1, 1])
    """

    word_weights: Tensor
    log_frequencies: Tensor
    offset: Tensor

    def __init__(
        self, axes: Tensor, word_weights: Tensor, frequencies: Tensor, means: Tensor
    ) -> None:
        super().__init__()
        self.projection = nn.Parameter((axes * word_weights).T.contiguous())
        self.back_projection = nn.Parameter(axes / (word_weights * frequencies))
        self.register_buffer("word_weights", word_weights)
        self.register_buffer("log_frequencies", frequencies.log())
        self.register_buffer("offset", (axes * word_weights) @ means)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return codes of shape (n_samples, n_components)."""
        there = (tokens != 0).to(self.projection.dtype)
        total = (F.embedding(tokens, self.projection) * there[:, :, None]).sum(1)
        return total / there.sum(1, keepdim=True).clamp_min(1) - self.offset

    def decode(self, code: Tensor) -> Tensor:
        """Return logits of shape (n_samples, n_tokens)."""
        share = 1 + code @ self.back_projection
        clipped = share.clamp_min(_CLIP)
        return self.log_frequencies + clipped.log() + share - clipped

    def count(self, tokens: Tensor) -> Tensor:
        """Return the weighted shares of words in texts, of shape (n_samples, n_tokens)."""
        there = (tokens != 0).to(self.word_weights.dtype)
        shares = there / there.sum(1, keepdim=True).clamp_min(1)
        counts = shares.new_zeros(len(tokens), len(self.word_weights))
        return counts.scatter_add_(1, tokens, shares) * self.word_weights


class TokenEncoder(nn.Module):
    """Encoder that reads the words of texts one after the other.

    Parameters
    ----------
    n_tokens : int
        Number of tokens, including padding (0) and unknown words (1).
    reader : RecurrentEncoder
        Network that reads the vectors of words.
    generator : torch.Generator, default=None
        Generator of the vectors.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import RecurrentEncoder, TokenEncoder
    >>> encoder = TokenEncoder(5, RecurrentEncoder((4, 8), 2))
    >>> encoder(torch.tensor([[2, 3, 4, 0], [1, 0, 0, 0]])).shape
    torch.Size([2, 2])
    """

    def __init__(self, n_tokens: int, reader: RecurrentEncoder, *, generator=None) -> None:
        super().__init__()
        self.reader = reader
        weight = next(reader.parameters())
        vectors = weight.new_empty(n_tokens, reader.sample_shape[1])
        self.vectors = nn.Parameter(vectors.normal_(generator=generator))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return outputs for texts.

        Parameters
        ----------
        tokens : Tensor of int of shape (n_samples, length)
            Tokens of the words, 0 after the end.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            One row per text.
        """
        lengths = find_lengths(tokens)
        longest = find_longest(lengths, tokens.shape[1])
        return self.reader.read(F.embedding(tokens[:, :longest].T, self.vectors), lengths)


class TokenAutoencoder(nn.Module):
    """Autoencoder from texts to the probability of each word at each position.

    Parameters
    ----------
    encoder : TokenEncoder
        Encoder from tokens to codes.
    decoder : RecurrentDecoder
        Decoder from codes to logits, with one position more than the longest text has words.
    basis : CodeBasis
        Basis of the codes that users see.
    linear_path : WordPath
        Linear part of encoder and decoder, which starts as latent semantic analysis.

    Attributes
    ----------
    reach : None
        Not used. Present for compatibility with other autoencoders.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import (
    ...     CodeBasis,
    ...     RecurrentDecoder,
    ...     RecurrentEncoder,
    ...     TokenAutoencoder,
    ...     TokenEncoder,
    ...     WordPath,
    ... )
    >>> path = WordPath(torch.eye(2, 5), torch.ones(5), torch.full((5,), 0.2), torch.zeros(5))
    >>> encoder = TokenEncoder(5, RecurrentEncoder((4, 8), 2))
    >>> module = TokenAutoencoder(encoder, RecurrentDecoder(2, (5, 5)), CodeBasis(2), path)
    >>> module.decode(module.encode(torch.tensor([[2, 3, 4, 0]]))).shape
    torch.Size([1, 4])
    """

    def __init__(
        self, encoder: TokenEncoder, decoder: RecurrentDecoder, basis, linear_path: WordPath
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.basis = encoder, decoder, basis
        self.linear_path = linear_path
        self.sparsity = self.reach = None

    def encode_raw(self, inputs: Tensor) -> Tensor:
        """Return raw codes of tokens, which may have any numeric type."""
        tokens = inputs.long()
        return self.linear_path.encode(tokens) + self.encoder(tokens)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return codes in the basis that users see."""
        return self.basis(self.encode_raw(inputs))

    def decode_raw(self, raw_code: Tensor) -> Tensor:
        """Return logits of shape (n_samples, length, n_tokens)."""
        states, linear = self._write(raw_code)
        return (self.decoder.head(states) + linear).transpose(0, 1)

    def _write(self, raw_code: Tensor) -> tuple[Tensor, Tensor]:
        """Return states of shape (length, n_samples, n_units), and logits of the linear path."""
        states = self.decoder.write(raw_code.clamp(-INPUT_LIMIT, INPUT_LIMIT))
        return states, self.linear_path.decode(raw_code)

    def decode(self, code: Tensor) -> Tensor:
        """Return the most likely tokens of texts, 0 after the end."""
        raw_code = self.basis.inverse(code)
        states, linear = self._write(raw_code)
        n_at_once = len(states)
        if not is_recording():
            n_at_once = max(1, _CELLS_AT_ONCE // max(1, linear.numel()))
        parts = [(self.decoder.head(some) + linear).argmax(2) for some in states.split(n_at_once)]
        tokens = torch.cat(parts).T[:, :-1]
        return tokens * ((tokens == 0).cumsum(1) == 0)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits of shape (n_samples, length, n_tokens)."""
        return self.decode_raw(self.encode_raw(inputs))

    def find_losses(self, raw_code: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of the words of texts, including their ends.

        Logits are computed for a few words at a time, and again for gradients, so that long texts
        and large vocabularies take no more memory than small ones.

        Parameters
        ----------
        raw_code : Tensor of shape (n_samples, n_components)
            Raw codes.
        targets : Tensor of shape (n_samples, length)
            Tokens of the texts, of any numeric type.

        Returns
        -------
        losses : Tensor of shape (n_samples,)
            Cross-entropies in nats per word.
        """
        # The end of the longest texts also counts as a word.
        tokens = F.pad(targets.long(), (0, 1))
        states, linear = self._write(raw_code)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        texts, places = (places <= find_lengths(tokens)[:, None]).nonzero(as_tuple=True)
        entropies = self._find_entropies(
            states[places, texts], linear, texts, tokens[texts, places]
        )
        counts = torch.bincount(texts, minlength=len(tokens))
        return entropies.new_zeros(len(tokens)).index_add(0, texts, entropies) / counts

    def _find_entropies(self, states, linear, texts, words) -> Tensor:
        """Return the cross-entropy of each word, given its state and its text."""
        n_at_once = max(1, _CELLS_AT_ONCE // linear.shape[1])
        if len(words) <= n_at_once:
            return self._judge_words(states, linear[texts], words)
        # Unbound, as the gradient of each part of a tensor is as large as the whole tensor.
        linear = linear.unbind()
        parts = zip(*(part.split(n_at_once) for part in (states, texts, words)), strict=True)
        return torch.cat([self._judge_again(linear, *part) for part in parts])

    def _judge_again(self, linear, states, texts, words) -> Tensor:
        """Return cross-entropies of words, recomputing intermediate results for gradients."""
        first, last = int(texts[0]), int(texts[-1])

        def judge(states, *rows):
            return self._judge_words(states, torch.stack(rows)[texts - first], words)

        return checkpoint(
            judge,
            states,
            *linear[first : last + 1],
            use_reentrant=False,
            preserve_rng_state=False,
        )

    def _judge_words(self, states, linear, words) -> Tensor:
        return F.cross_entropy(self.decoder.head(states) + linear, words, reduction="none")


def find_lengths(tokens: Tensor) -> Tensor:
    """Return the number of words of texts, up to the last token that is not 0."""
    places = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    return ((tokens != 0) * places).amax(1)
