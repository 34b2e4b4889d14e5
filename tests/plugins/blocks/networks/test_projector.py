from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench_plugins.blocks.networks.projector import projector


def kinds(network):
    return [type(part).__name__ for part in network]


@pytest.mark.parametrize(
    ("last", "tail", "trained"),
    [
        ("scaled", ["Linear", "BatchNorm1d"], ["weight", "weight"]),
        ("plain", ["Linear", "BatchNorm1d"], ["weight"]),
        ("bare", ["Linear"], ["weight"]),
        ("biased", ["Linear"], ["weight", "bias"]),
    ],
)
def test_the_last_layer_ends_as_its_method_has_it(last, tail, trained):
    network = projector(4, 6, 3, 2, last)
    assert kinds(network) == ["Linear", "BatchNorm1d", "ReLU", *tail]
    names = [name for part in network[3:] for name, p in part.named_parameters() if p.requires_grad]
    assert names == trained
    assert network[0].bias is None


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_layers_are_counted_by_their_products(layers):
    network = projector(4, 6, 3, layers)
    assert kinds(network).count("Linear") == layers
    assert network(torch.randn(5, 4)).shape == (5, 3)


def test_a_scaled_end_never_shifts():
    network = projector(4, 6, 3, 1, "scaled")
    out = network(torch.randn(64, 4))
    assert torch.allclose(out.mean(0), torch.zeros(3), atol=1e-6)
    assert isinstance(network[-1], nn.BatchNorm1d)
