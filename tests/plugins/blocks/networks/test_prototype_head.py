from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sslbench_plugins.blocks.networks.prototype_head import PrototypeHead


def head(**options):
    torch.manual_seed(0)
    return PrototypeHead(6, 5, **{"hidden_dim": 8, "bottleneck_dim": 4, **options}).double()


@pytest.mark.parametrize("layers", [1, 3])
def test_outputs_are_cosines_with_the_prototypes(layers):
    network, features = head(layers=layers), torch.randn(3, 7, 6, dtype=torch.float64)
    hidden = network.mlp(features)
    expected = functional.cosine_similarity(hidden[:, :, None], network.prototypes, dim=-1)
    assert torch.allclose(network(features), expected, atol=1e-12)


def test_gains_start_at_one_and_scale_each_output():
    plain, network, features = head(), head(gains=True), torch.randn(3, 6, dtype=torch.float64)
    assert torch.equal(network(features), plain(features))
    gains = torch.tensor([0.5, 1, 2, 3, -1], dtype=torch.float64)
    with torch.no_grad():
        network.gains.copy_(gains[:, None])
    assert torch.allclose(network(features), plain(features) * gains)


def test_the_mean_output_is_the_output_of_the_mean():
    network, features = head(gains=True), torch.randn(9, 6, dtype=torch.float64)
    assert torch.allclose(network.compare(network.embed(features).mean(0)), network(features).mean(0), atol=1e-12)


def test_frozen_prototypes_have_no_gradient():
    network = head(gains=True)
    network(torch.randn(3, 6, dtype=torch.float64)).sum().backward()
    network.freeze_prototypes()
    assert [name for name, p in network.named_parameters() if p.grad is None] == ["prototypes", "gains"]
