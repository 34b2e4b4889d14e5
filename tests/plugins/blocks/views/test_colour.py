from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from sslbench_plugins.blocks.views import colour

THEIRS = (
    reference.adjust_brightness,
    reference.adjust_contrast,
    reference.adjust_saturation,
    reference.adjust_hue,
)


@pytest.fixture
def images():
    """Noise, and what hue stumbles over: grey, black, white, pure and equal channels."""
    noise = torch.rand(8, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    flat = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0.4, 0.4, 0.4], [1, 0, 0], [0, 1, 1], [0.5, 0.5, 0.2], [0, 0, 1]])
    return torch.cat([noise, flat[:, :, None, None].expand(-1, -1, 6, 5)])


@pytest.mark.parametrize("number", range(4))
def test_each_operation_is_torchvisions_sample_by_sample(images, number):
    low, high = (-0.5, 0.5) if number == 3 else (0.0, 2.0)
    factors = torch.linspace(low, high, len(images))
    ours = colour.OPERATIONS[number](images.clone(), factors.view(-1, 1, 1, 1), colour.scratch_for(images))
    assert 0 <= ours.min() <= ours.max() <= 1
    for index, factor in enumerate(factors.tolist()):
        assert torch.allclose(ours[index], THEIRS[number](images[index], factor), atol=3e-6), (index, factor)


def test_grey_is_torchvisions(images):
    ours = colour.grey(images.clone(), colour.scratch_for(images))
    assert torch.allclose(ours, reference.rgb_to_grayscale(images, 3), atol=1e-6)


def test_jitter_applies_every_order_as_torchvision_does():
    orders = torch.tensor(list(permutations(range(4))))
    count = len(orders)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 7, 7, generator=generator)
    factors = torch.rand(count, 4, generator=generator) + torch.tensor([0.5, 0.5, 0.5, -0.5])
    chosen = [index for index in range(count) if index % 5]
    ours = colour.jitter(images.clone(), factors, orders.tolist(), chosen, colour.scratch_for(images))
    for index in range(count):
        theirs = images[index]
        for number in orders[index].tolist() if index in chosen else []:
            theirs = THEIRS[number](theirs, factors[index, number].item())
        assert torch.allclose(ours[index], theirs, atol=1e-5)
