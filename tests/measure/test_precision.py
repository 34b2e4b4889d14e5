from __future__ import annotations

import pytest
import torch

from sslbench.measure.precision import autocast, computing, fastest_convolutions, float32_arithmetic

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
