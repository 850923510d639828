"""Large matrix products and their derivatives agree with torch's."""

import pytest
import torch
from torch.nn import functional as F

from skae.modules import _products
from skae.modules._products import (
    LARGE_PRODUCT,
    has_onednn,
    is_large_product,
    linear,
    prefers_onednn,
)

N_ROWS, N_IN, N_OUT = 256, 200, 100


@pytest.fixture
def factors():
    """Return rows, weights and a bias whose product is large."""
    generator = torch.Generator().manual_seed(0)
    shapes = (N_ROWS, N_IN), (N_OUT, N_IN), (N_OUT,)
    assert N_ROWS * N_IN * N_OUT >= LARGE_PRODUCT
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Return a function that simulates another processor."""

    def replace(vendor, family, capability="AVX512"):
        text = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\n\n"
        (tmp_path / "cpuinfo").write_text(2 * text)
        monkeypatch.setattr(_products, "_PROCESSOR_FILE", tmp_path / "cpuinfo")
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)

    prefers_onednn.cache_clear()
    yield replace
    prefers_onednn.cache_clear()


@pytest.mark.skipif(not has_onednn(), reason="this build of torch has no oneDNN product")
@pytest.mark.parametrize(
    ("vendor", "family", "capability", "is_faster"),
    [
        ("AuthenticAMD", 26, "AVX512", True),
        ("AuthenticAMD", 25, "AVX512", False),
        ("AuthenticAMD", 26, "AVX2", False),
        ("GenuineIntel", 6, "AVX512", False),
        ("GenuineIntel", 26, "AVX512", False),
        ("AuthenticAMD", "unknown", "AVX512", False),
    ],
)
def test_onednn_multiplies_on_processors_where_it_is_faster(
    processor, vendor, family, capability, is_faster
):
    processor(vendor, family, capability)
    assert prefers_onednn() is is_faster


def test_mkl_multiplies_where_nothing_is_known_of_the_processor(processor, tmp_path, monkeypatch):
    processor("AuthenticAMD", 26)
    monkeypatch.setattr(_products, "_PROCESSOR_FILE", tmp_path / "missing")
    assert not prefers_onednn()


def test_mkl_multiplies_where_torch_lacks_the_product(processor, monkeypatch):
    def fail(*factors):
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute")

    processor("AuthenticAMD", 26)
    has_onednn.cache_clear()
    monkeypatch.setattr(_products, "_multiply", fail)
    try:
        assert not prefers_onednn()
    finally:
        has_onednn.cache_clear()


@pytest.mark.usefixtures("by_onednn")
def test_large_products_of_single_precision_are_onednns(factors):
    assert "LargeProduct" in type(linear(*factors).grad_fn).__name__
    with torch.no_grad():
        assert linear(*factors).grad_fn is None


@pytest.mark.usefixtures("by_onednn")
def test_products_and_all_derivatives_are_those_of_torch(factors):
    found = []
    for function in (linear, F.linear):
        output = function(*factors)
        first = torch.autograd.grad(output.sin().sum(), factors, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), factors)
        found.append([output, *first, *second])
    for own, other in zip(*found, strict=True):
        tolerance = 1e-5 * float(other.detach().abs().max())
        torch.testing.assert_close(own, other, rtol=1e-4, atol=tolerance)


@pytest.mark.usefixtures("by_onednn")
@pytest.mark.parametrize("with_bias", [True, False])
def test_factors_may_lie_in_memory_as_they_like(factors, with_bias):
    rows, weight, bias = (factor.detach() for factor in factors)
    bias = bias if with_bias else None
    expected = F.linear(rows, weight, bias)
    for strided in (rows.T.contiguous().T, rows.repeat(1, 2)[:, :N_IN]):
        product = linear(strided, weight.T.contiguous().T, bias)
        torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("by_onednn")
@pytest.mark.parametrize("case", ["small", "double", "three axes", "autocast", "slower"])
def test_other_products_are_torchs_own(factors, case, monkeypatch):
    rows, weight, bias = factors
    context = torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast")
    if case == "small":
        rows = rows[:2]
    elif case == "double":
        rows, weight, bias = (factor.double() for factor in factors)
    elif case == "three axes":
        rows = rows[None]
    elif case == "slower":
        monkeypatch.setattr(_products, "prefers_onednn", lambda: False)
        assert not is_large_product(LARGE_PRODUCT, rows)
    with context:
        found, expected = linear(rows, weight, bias), F.linear(rows, weight, bias)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
