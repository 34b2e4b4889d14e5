from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sslbench_plugins.blocks.objectives import contrast as module
from sslbench_plugins.blocks.objectives.contrast import contrast


@pytest.mark.parametrize("chunk_bytes", [1, 16 * 4 * 40, 8 << 20])
@pytest.mark.parametrize("temperature", [0.01, 0.2])
@pytest.mark.parametrize("left_out", [True, False])
def test_loss_and_gradients_are_those_of_the_whole_matrix(monkeypatch, chunk_bytes, temperature, left_out):
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_bytes)
    generator = torch.Generator().manual_seed(0)
    queries = functional.normalize(torch.randn(37, 6, generator=generator), dim=1).requires_grad_()
    keys = functional.normalize(torch.randn(40, 6, generator=generator), dim=1).requires_grad_()
    positives = torch.randint(0, 40, (37,), generator=generator)
    itself = (positives + 3) % 40 if left_out else None
    logits = queries @ keys.T / temperature
    if itself is not None:
        logits = logits.scatter(1, itself[:, None], float("-inf"))
    expected = functional.cross_entropy(logits, positives)
    expected_gradients = torch.autograd.grad(expected, [queries, keys])
    loss = contrast(queries, keys, positives, temperature, itself)
    gradients = torch.autograd.grad(loss, [queries, keys])
    assert torch.allclose(loss, expected, rtol=1e-5)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-6, rtol=1e-4)


def test_keys_without_gradient_get_none_and_nothing_is_kept_for_a_plain_loss():
    queries, keys = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3)
    contrast(queries, keys, torch.arange(4), 0.1).backward()
    assert queries.grad is not None
    assert keys.grad is None
    assert not contrast(queries.detach(), keys, torch.arange(4), 0.1).requires_grad
