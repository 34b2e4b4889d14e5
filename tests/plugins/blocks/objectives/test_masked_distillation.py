from __future__ import annotations

import math

import pytest
import torch

from sslbench_plugins.blocks.objectives import masked_distillation as module
from sslbench_plugins.blocks.objectives.masked_distillation import MaskedPatches, masked_distillation

COUNTS = [0, 3, 1, 0, 5]
"""masked patches of five crops with eight patches each"""


def masks():
    order = torch.rand(5, 8, generator=torch.Generator().manual_seed(0)).argsort(dim=1)
    return order < torch.tensor(COUNTS)[:, None]


def given(dtype=torch.float64, prototypes=4):
    generator = torch.Generator().manual_seed(1)
    students = torch.randn(5, 8, prototypes, generator=generator, dtype=dtype)
    return students, torch.randn(5, 8, prototypes, generator=generator, dtype=dtype).softmax(-1)


def plain(students, targets, mask, temperature):
    """Zhou et al. 2022, equation 2, patch by patch; the authors divide each crop by its own count, 1 at least."""
    total = 0.0
    for student, target, masked in zip(students.tolist(), targets.tolist(), mask.tolist(), strict=True):
        cross = 0.0
        for row, wanted, hidden in zip(student, target, masked, strict=True):
            if hidden:
                partition = sum(math.exp(value / temperature) for value in row)
                cross -= sum(
                    w * math.log(math.exp(v / temperature) / partition) for w, v in zip(wanted, row, strict=True)
                )
        total += cross / max(1, sum(masked))
    return total / len(mask)


@pytest.mark.parametrize("most", [9, 12, None])
def test_masked_patches_come_first_and_weigh_one_over_their_number(most):
    mask = masks()
    masked = MaskedPatches.of([mask[:2], mask[2:]], most)
    assert masked.chosen.shape == masked.weights.shape == (most or 40,)
    assert masked.chosen[:9].tolist() == mask.flatten().nonzero().flatten().tolist()
    assert len(masked.chosen.unique()) == len(masked.chosen)
    expected = [1 / (5 * count) for count in COUNTS for _ in range(count)]
    assert masked.weights.tolist() == pytest.approx(expected + [0.0] * (len(masked.chosen) - 9))
    assert masked.share.item() == pytest.approx(3 / 5)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize(("chunk", "most"), [(1, 30), (64 << 20, 9)])
def test_the_loss_and_its_gradient_equal_the_plain_formula(temperature, chunk, most, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    (students, targets), mask = given(), masks()
    masked = MaskedPatches.of([mask], most)

    def loss_of(students):
        return masked_distillation(masked.gather(students), masked.gather(targets), masked.weights, temperature)

    assert loss_of(students).item() == pytest.approx(plain(students, targets, mask, temperature), rel=1e-6)
    assert torch.autograd.gradcheck(loss_of, students.requires_grad_(), eps=1e-5)
    (gradient,) = torch.autograd.grad(loss_of(students), students)
    assert not gradient[~mask].any()


def test_a_mean_over_masked_patches_counts_each_crop_once():
    mask = masks()
    masked = MaskedPatches.of([mask], 12)
    values = torch.arange(40.0).view(5, 8)
    expected = torch.stack([values[row][mask[row]].mean() for row in range(5) if COUNTS[row]]).mean()
    assert masked.mean(values.flatten()[masked.chosen]).item() == pytest.approx(expected.item())


def test_a_batch_without_masks_has_no_loss():
    students, targets = given()
    masked = MaskedPatches.of([torch.zeros(5, 8, dtype=torch.bool)], 3)
    loss = masked_distillation(students[0, :3].requires_grad_(), targets[0, :3], masked.weights, 0.1)
    assert loss.item() == 0
    assert masked.mean(students[0, :3, 0].detach().float()).item() == 0
