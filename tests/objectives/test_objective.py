"""Contract of all objectives."""

import pytest
import torch
from torch import nn

from skae.modules import (
    AdversarialAutoencoder,
    Autoencoder,
    CodeBasis,
    DenseStack,
    RecurrentDecoder,
    RecurrentEncoder,
    TokenAutoencoder,
    TokenEncoder,
    VariationalAutoencoder,
    WordPath,
)
from skae.objectives import (
    AdversarialObjective,
    Contractive,
    GaussianLikelihood,
    HuberLoss,
    KLSparsity,
    L1Sparsity,
    NegativeELBO,
    Objective,
    OrthogonalDecoder,
    ReconstructionObjective,
    SquaredError,
    TokenCrossEntropy,
)

N_ROWS, N_FEATURES, N_CODES = 40, 6, 2


def make_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw_normal(n_draws, n_components, generator):
    return torch.randn(n_draws, n_components, generator=generator)


def make_parts(n_outputs=N_CODES):
    params = {"generator": make_generator()}
    encoder = DenseStack([N_FEATURES, 5, n_outputs], **params)
    return encoder, DenseStack([N_CODES, 5, N_FEATURES], **params), CodeBasis(N_CODES)


def make_network():
    return Autoencoder(*make_parts(), torch.ones(N_FEATURES), torch.ones(N_CODES))


def make_adversarial():
    network = AdversarialAutoencoder(
        *make_parts(),
        torch.ones(N_FEATURES),
        torch.ones(N_CODES),
        discriminator=DenseStack([N_CODES, 4, 1], generator=make_generator(3)),
    )
    return network, AdversarialObjective(SquaredError().prepare(), draw_normal, make_generator())


def make_variational():
    likelihood = GaussianLikelihood(SquaredError().prepare())
    network = VariationalAutoencoder(
        *make_parts(2 * N_CODES), torch.ones(N_FEATURES), torch.zeros(N_CODES), likelihood
    )
    return network, NegativeELBO(generator=make_generator(), warm_up=0.5)


def make_penalised(penalty):
    def make():
        loss = HuberLoss().prepare()
        return make_network(), ReconstructionObjective(
            loss, penalty=penalty, alpha=0.1, generator=make_generator()
        )

    return make


class WorstCell(Objective):
    """Minimal user-defined objective."""

    def judge(self, module, inputs, rows):
        output = module(inputs)
        return (output - rows).abs().amax(1), output


CASES = {
    "plain": make_penalised(None),
    "l1": make_penalised(L1Sparsity()),
    "kl": make_penalised(KLSparsity()),
    "contractive": make_penalised(Contractive()),
    "orthogonal": make_penalised(OrthogonalDecoder()),
    "variational": make_variational,
    "adversarial": make_adversarial,
    "own": lambda: (make_network(), WorstCell()),
}


@pytest.fixture(params=sorted(CASES))
def case(request):
    rows = torch.randn(N_ROWS, N_FEATURES, generator=make_generator(1))
    return *CASES[request.param](), rows


def test_a_batch_has_a_loss_with_a_gradient_and_an_output(case):
    network, objective, rows = case
    assert isinstance(objective, Objective)
    loss, output = objective(network, rows, rows, torch.ones(N_ROWS))
    assert loss.shape == ()
    assert network.output(output).shape == rows.shape
    loss.backward()
    assert all(weight.grad.isfinite().all() for weight in network.encoder.parameters())


def test_losses_of_rows_are_separate_and_reproducible(case):
    network, objective, rows = case
    losses, output = objective.judge(network, rows, rows)
    assert losses.shape == (N_ROWS,)
    assert len(losses.unique()) == N_ROWS
    assert network.output(output).shape == rows.shape
    objective(network, rows, rows)
    objective.set_progress(0.3)
    torch.testing.assert_close(objective.judge(network, rows, rows)[0], losses, rtol=0, atol=0)


def test_rows_of_no_weight_do_not_count(case):
    network, objective, rows = case
    if getattr(objective, "penalty", None) is not None:
        # A penalty depends on the whole batch.
        objective.alpha = 0.0
    weights = torch.cat([torch.full((20,), 2.0), torch.zeros(20)])
    strange = rows.clone()
    strange[20:] *= 3
    if isinstance(objective, NegativeELBO):
        # The draws are equal in each call.
        objective.generator = None
    before = objective(network, rows, rows, weights)[0]
    torch.testing.assert_close(objective(network, rows, strange, weights)[0], before)


def test_no_objective_has_weights_to_train(case):
    _, objective, _ = case
    assert not list(objective.parameters())


def test_the_base_class_names_the_method_to_override():
    with pytest.raises(NotImplementedError, match="must have a method `judge`"):
        Objective()(None, None, None)


def test_texts_keep_the_contract_with_codes_in_the_place_of_logits():
    n_tokens = 5
    path = WordPath(torch.eye(2, 5), torch.ones(5), torch.full((5,), 0.2), torch.zeros(5))
    encoder = TokenEncoder(n_tokens, RecurrentEncoder((4, 8), N_CODES), generator=make_generator())
    decoder = RecurrentDecoder(N_CODES, (5, n_tokens))
    network = TokenAutoencoder(encoder, decoder, CodeBasis(N_CODES), path)
    texts, objective = torch.tensor([[2, 3, 4, 0], [1, 0, 0, 0]]), TokenCrossEntropy()
    losses, codes = objective.judge(network, texts, texts)
    assert losses.shape == (2,)
    assert codes.shape == (2, N_CODES)
    # Texts of three words and of one word, each with an end.
    words = torch.tensor([2, 3, 4, 0, 1, 0])
    both = network(texts)
    logits = torch.cat([both[0, :4], both[1, :2]])
    entropies = nn.functional.cross_entropy(logits, words, reduction="none")
    expected = torch.stack([entropies[:4].mean(), entropies[4:].mean()])
    torch.testing.assert_close(losses, expected)
    weights = torch.tensor([0.5, 1.5])
    loss, _ = objective(network, texts, texts, weights)
    torch.testing.assert_close(loss, (losses * weights).mean())
