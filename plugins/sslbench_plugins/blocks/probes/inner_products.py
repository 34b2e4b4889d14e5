"""Inner products of chunks of queries with a bank of vectors, by the quickest exact route, or in bf16.

On a CPU there are several libraries for float32 products, and which is the quickest depends on the processor: oneDNN
(``Tensor.to_mkldnn``) has kernels for whatever is at hand, the one behind ``torch.mm`` (MKL in torch's own packages)
narrower ones on processors of another maker, NumPy brings a third, OpenBLAS. The sums are float32 in each: products of
unit vectors are within 1e-6 of the true ones. Where there is enough to compute, the choice is measured once a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.nn import functional as F

from sslbench import quickest

Precision = Literal["fp32", "bf16"]
Product = Literal["oneDNN", "torch", "NumPy"]
BLOCK = 2048
"""rows of the bank in one product of oneDNN: with a hundred or more queries it fills the cache and no more"""
WORTH_MEASURING = 10**10
"""multiply-adds, a fifth of a second or so: with fewer the first of ``products_here`` is taken, unmeasured"""
SAMPLE = 4096, 512, 512
"""rows, width and queries of the product that is measured"""


def unit(features: Tensor) -> Tensor:
    """``[..., D]``, none of them zero, brought to length 1: their inner products are cosines."""
    return torch.div(features, torch.linalg.vector_norm(features, dim=-1, keepdim=True))


class Bank:
    """The vectors that queries are compared with; keeps a copy of them in the layout of the products."""

    def __init__(self, rows: Tensor, precision: Precision = "fp32", product: Product | None = None) -> None:
        """``rows``: float ``[N, D]`` on any device. ``bf16`` rounds both sides of the product and the product to 8
        significant bits: 0.4% of each cosine at the most, in a third of the time where the processor has it.
        ``product``: whose, of float32 on a CPU, which is where there is a choice; None: the first one there."""
        self.dtype = torch.bfloat16 if precision == "bf16" else rows.dtype
        self._count, self._device = len(rows), rows.device
        choice = self.dtype == torch.float32 and rows.device.type == "cpu"
        self._product: Product = (product or products_here()[0]) if choice else "torch"
        packed = self._product == "oneDNN"
        self._blocks = [part.to_mkldnn() for part in torch.split(rows, BLOCK)] if packed else []
        self._rows = None if packed else rows.to(self.dtype)

    def __len__(self) -> int:
        return self._count

    def buffer(self, queries: int) -> Tensor:
        """Room for the products of so many queries: ``[queries, N]``, uninitialised."""
        return torch.empty(queries, self._count, dtype=self.dtype, device=self._device)

    def products(self, queries: Tensor, buffer: Tensor) -> Tensor:
        """``queries`` ``[m, D]`` of the rows' type -> ``[m, N]``, written into the first m rows of ``buffer``."""
        out = buffer[: len(queries)]
        if self._product == "NumPy" and self._rows is not None:
            with blas_libraries().limit(limits=torch.get_num_threads()):
                np.matmul(queries.numpy(), self._rows.numpy().T, out=out.numpy())
            return out
        if self._rows is not None:
            return torch.mm(queries.to(self.dtype), self._rows.T, out=out)
        packed, start = queries.to_mkldnn(), 0
        for block in self._blocks:
            products = F.linear(packed, block).to_dense()
            out[:, start : start + products.shape[1]] = products
            start += products.shape[1]
        return out


@cache
def blas_libraries() -> ThreadpoolController:
    """Those with threads of their own, NumPy's among them, which knows nothing of torch's number of threads."""
    return ThreadpoolController().select(user_api="blas")


def products_here() -> list[Product]:
    """Whose float32 products this CPU has, the one for small problems first."""
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return ["oneDNN", "torch", "NumPy"] if has_onednn else ["torch", "NumPy"]


def worth_measuring(rows: Tensor, queries: int, precision: Precision) -> bool:
    """Whether there is a choice, and enough to compute for it to pay; ``rows`` ``[N, D]``."""
    choice = precision == "fp32" and rows.dtype == torch.float32 and rows.device.type == "cpu"
    return choice and rows.numel() * queries >= WORTH_MEASURING


def quickest_product(rows: Tensor, queries: int, precision: Precision = "fp32") -> Product | None:
    """Whose product is the quickest for so many queries; None where there is nothing to choose."""
    if not worth_measuring(rows, queries, precision):
        return None
    here: dict[str, Product] = {product: product for product in products_here()}
    return here[quickest(f"float32 inner products, NumPy {np.__version__}", list(here), sample_product)]


def sample(rows: int, width: int, queries: int) -> tuple[Tensor, Tensor]:
    """Unit vectors to measure with: ``[rows, width]`` and ``[queries, width]``."""
    generator = torch.Generator().manual_seed(0)
    return unit(torch.randn(rows, width, generator=generator)), unit(torch.randn(queries, width, generator=generator))


def sample_product(product: Any) -> Callable[[], Tensor]:
    """A call of it to measure."""
    rows, queries = sample(*SAMPLE)
    bank = Bank(rows, product=product)
    return partial(bank.products, queries, bank.buffer(len(queries)))
