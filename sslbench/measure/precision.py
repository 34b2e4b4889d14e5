"""Contexts in which a precision means what it says, on a GPU too; what they set is put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

attention = functional.scaled_dot_product_attention
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@contextmanager
def float32_arithmetic(precision: str = "fp32") -> Iterator[None]:
    """Within it, products and convolutions of float32 tensors are IEEE's; with ``tf32``, a GPU rounds their factors to
    10 bits of mantissa and adds up in float32. Torch's own defaults are IEEE for products and TF32 for convolutions.

    Through torch's older switches: its newer ones, once set, make reading the older ones an error.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    rounds = precision == "tf32"
    set_float32("high" if rounds else "highest", rounds)
    try:
        yield
    finally:
        set_float32(*before)


def set_float32(products: str, convolutions: bool) -> None:
    """``products``: as of ``torch.set_float32_matmul_precision``; ``convolutions``: whether cuDNN may take TF32."""
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = convolutions


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Mixed precision on ``device`` for ``bf16`` and ``fp16``; else it does nothing.

    On a CPU attention stays in float32: torch's backward pass of it in bfloat16 can take ten times as long there."""
    mixed, before = precision in AUTOCAST, functional.scaled_dot_product_attention
    if mixed and device.type == "cpu":
        functional.scaled_dot_product_attention = attention_in_float32
    try:
        with torch.autocast(device.type, AUTOCAST.get(precision, torch.bfloat16), enabled=mixed):
            yield
    finally:
        functional.scaled_dot_product_attention = before


def attention_in_float32(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *args: Any, **options: Any
) -> Tensor:
    """``scaled_dot_product_attention`` of tensors on a CPU, in float32; the result has autocast's dtype."""
    if attn_mask is not None and attn_mask.dtype != torch.bool:
        attn_mask = attn_mask.float()
    with torch.autocast("cpu", enabled=False):
        result = attention(query.float(), key.float(), value.float(), attn_mask, *args, **options)
    return result.to(torch.get_autocast_dtype("cpu"))


@contextmanager
def computing(device: torch.device, precision: str) -> Iterator[None]:
    """Within it, a network computes in ``precision``, without a backward pass; float32 is IEEE's but for ``tf32``."""
    with float32_arithmetic(precision), autocast(device, precision):
        yield


@contextmanager
def fastest_convolutions(device: torch.device) -> Iterator[None]:
    """Within it, cuDNN tries its algorithms on each new shape and keeps the fastest; on a CPU nothing is changed.
    Which one that is may differ from run to run, and with it the last bits of a result: where a user asked torch to be
    deterministic, nothing is changed either."""
    before = torch.backends.cudnn.benchmark
    deterministic = torch.backends.cudnn.deterministic or torch.are_deterministic_algorithms_enabled()
    torch.backends.cudnn.benchmark = before or (device.type == "cuda" and not deterministic)
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
