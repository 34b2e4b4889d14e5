"""Products against float64 ones, whichever route they take."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sslbench_plugins.blocks.probes import inner_products
from sslbench_plugins.blocks.probes.inner_products import Bank, Product, products_here, quickest_product, unit


def made(rows: int, width: int, seed: int) -> torch.Tensor:
    return unit(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("product", ["oneDNN", "torch", "NumPy"])
def test_products_are_those_of_float64(rows: int, product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner_products, "BLOCK", 8)
    vectors, queries = made(rows, 33, 0), made(5, 33, 1)
    bank = Bank(vectors, product=product)
    buffer = bank.buffer(8)
    products = bank.products(queries, buffer)
    assert products.shape == (5, rows) == (5, len(bank))
    assert products.data_ptr() == buffer.data_ptr()
    torch.testing.assert_close(products.double(), queries.double() @ vectors.double().T, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("packed", "product"), [(True, "oneDNN"), (False, "torch")])
def test_small_problems_take_the_first_product_unmeasured(
    packed: bool, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner_products, "quickest", pytest.fail)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: packed)
    rows = made(1437, 64, 0)
    assert quickest_product(rows, 360) is None
    assert Bank(rows)._product == products_here()[0] == product


def test_large_problems_take_the_quickest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def choose(task: str, ways: list[str], prepare: object) -> str:
        asked.append((task, ways))
        return "NumPy"

    monkeypatch.setattr(inner_products, "quickest", choose)
    rows = torch.empty(50_000, 512)
    assert quickest_product(rows, 10_000) == "NumPy"
    assert asked == [(f"float32 inner products, NumPy {np.__version__}", products_here())]
    assert quickest_product(rows, 10_000, "bf16") is None
    assert quickest_product(rows.double(), 10_000) is None
    assert quickest_product(rows.to("meta"), 10_000) is None


def test_what_is_measured_is_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner_products, "SAMPLE", (40, 8, 5))
    rows, queries = inner_products.sample(40, 8, 5)
    for product in products_here():
        torch.testing.assert_close(inner_products.sample_product(product)(), queries @ rows.T)


def test_a_bank_of_float64_stays_so() -> None:
    vectors, queries = made(9, 5, 0).double(), made(4, 5, 1).double()
    bank = Bank(vectors)
    assert torch.equal(bank.products(queries, bank.buffer(4)), queries @ vectors.T)


def test_bf16_is_off_by_its_rounding_and_no_more() -> None:
    vectors, queries = made(50, 64, 0), made(20, 64, 1)
    bank = Bank(vectors, "bf16")
    products = bank.products(queries, bank.buffer(20))
    assert products.dtype == torch.bfloat16
    # Each side is off by at most 2^-9 of its length, the product by 2^-9 of itself.
    error = (products.double() - queries.double() @ vectors.double().T).abs().max()
    assert 0 < error <= 3 * 2**-9


def test_unit_vectors_have_length_one() -> None:
    vectors = 100 * torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unit(vectors).norm(dim=-1), torch.ones(6, 4))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cuda_agrees_with_the_cpu(precision: str) -> None:
    vectors, queries = made(500, 64, 0), made(20, 64, 1)
    here, there = Bank(vectors, precision), Bank(vectors.cuda(), precision)
    products = there.products(queries.cuda(), there.buffer(20))
    torch.testing.assert_close(products.cpu(), here.products(queries, here.buffer(20)), rtol=0, atol=1e-2)
