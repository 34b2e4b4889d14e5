from __future__ import annotations

import warnings

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from sslbench.measure.precision import (
    attention_in_float32,
    autocast,
    computing,
    fastest_convolutions,
    float32_arithmetic,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def switches():
    """Of products and of convolutions: whether a GPU may round to TF32."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture(autouse=True)
def torchs_own():
    before = torch.get_float32_matmul_precision(), *switches()
    yield
    assert (torch.get_float32_matmul_precision(), *switches()) == before == ("highest", False, True)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("fp32", (False, False)), ("tf32", (True, True)), ("bf16", (False, False)), ("fp16", (False, False))],
)
def test_products_and_convolutions_are_in_one_arithmetic(precision, expected):
    with float32_arithmetic(precision):
        assert switches() == expected
        with float32_arithmetic():
            assert switches() == (False, False)
        assert switches() == expected
    with computing(CPU, precision):
        assert switches() == expected


def test_what_a_user_set_is_put_back_also_after_an_error():
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with pytest.raises(ValueError, match="mine"), float32_arithmetic("tf32"):
            raise ValueError("mine")
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("medium", False)
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_mixed_precision_is_of_half_numbers_alone(precision, dtype):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


class Attention(TorchDispatchMode):
    """Notes the dtypes that attention and its backward pass are given."""

    def __init__(self):
        super().__init__()
        self.given = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "attention" in func.overloadpacket.__name__:
            self.given.append(next(arg for arg in args if isinstance(arg, torch.Tensor)).dtype)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mask", [None, torch.bool, torch.bfloat16])
def test_attention_in_bf16_is_computed_in_float32_on_a_cpu(mask):
    generator = torch.Generator().manual_seed(0)
    exact = [torch.randn(2, 3, 9, 8, generator=generator).requires_grad_() for _ in range(3)]
    given = [tensor.detach().bfloat16().requires_grad_() for tensor in exact]
    allowed = None if mask is None else torch.ones(9, 9).tril().to(mask)
    with Attention() as dispatched, autocast(CPU, "bf16"):
        out = functional.scaled_dot_product_attention(*given, attn_mask=allowed)
        out.float().square().sum().backward()
    assert out.dtype == given[0].grad.dtype == torch.bfloat16
    assert len(dispatched.given) == 2
    assert set(dispatched.given) == {torch.float32}
    allowed = allowed if mask is not torch.bfloat16 else allowed.float()
    plain = functional.scaled_dot_product_attention(*(tensor.float() for tensor in given), attn_mask=allowed)
    assert torch.equal(out, plain.bfloat16())


def test_attention_is_torchs_own_elsewhere_and_put_back_after_an_error():
    own = functional.scaled_dot_product_attention
    with autocast(CPU, "bf16"):
        assert functional.scaled_dot_product_attention is attention_in_float32
        with pytest.raises(ValueError, match="mine"), autocast(CPU, "bf16"):
            raise ValueError("mine")
        assert functional.scaled_dot_product_attention is attention_in_float32
    assert functional.scaled_dot_product_attention is own
    with autocast(CPU, "fp32"):
        assert functional.scaled_dot_product_attention is own
    with warnings.catch_warnings(action="ignore"), autocast(GPU, "bf16"):  # torch warns where there is no GPU
        assert functional.scaled_dot_product_attention is own


@pytest.mark.parametrize(("device", "before", "within"), [(GPU, False, True), (CPU, False, False), (CPU, True, True)])
def test_algorithms_are_tried_on_a_gpu_alone_and_the_switch_is_put_back(monkeypatch, device, before, within):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", before)
    with fastest_convolutions(device):
        assert torch.backends.cudnn.benchmark is within
    assert torch.backends.cudnn.benchmark is before


def test_no_algorithms_are_tried_where_a_user_wants_the_same_bits_each_time(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    with fastest_convolutions(GPU):
        assert not torch.backends.cudnn.benchmark


def wrong_by(work, precision):
    """The largest error of a float32 result, as a share of the largest exact number."""
    generator = torch.Generator().manual_seed(0)
    factors = [torch.randn(shape, generator=generator, dtype=torch.float64).to(GPU) for shape in work[1:]]
    exact = work[0](*factors)
    with float32_arithmetic(precision):
        result = work[0](*(factor.float() for factor in factors))
    return float((result - exact).abs().max() / exact.abs().max())


PRODUCT = torch.mm, (512, 512), (512, 512)
CONVOLUTION = functional.conv2d, (16, 64, 16, 16), (64, 64, 3, 3)


@pytest.mark.gpu
@pytest.mark.parametrize("work", [PRODUCT, CONVOLUTION], ids=["product", "convolution"])
def test_on_a_gpu_fp32_has_the_digits_of_float32(work):
    assert wrong_by(work, "fp32") < 1e-5


@pytest.mark.gpu
def test_on_a_gpu_tf32_has_fewer():
    if torch.cuda.get_device_capability()[0] < 8:
        pytest.skip("this GPU has no TF32")
    assert wrong_by(PRODUCT, "tf32") > 5e-5
