from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sslbench_plugins.blocks.objectives.sigreg import sigreg, unit_slices
from sslbench_plugins.blocks.studies.results import SeedResults
from sslbench_plugins.methods.lejepa import prediction_loss
from sslbench_plugins.simulators.lejepa_dynamics import across, collapse, correlation, no_collapse, ranking, within
from sslbench_plugins.simulators.lejepa_dynamics.training import (
    BATCH,
    DIM,
    SLICES,
    Networks,
    Points,
    Trained,
    lejepa_loss,
    train,
)


def test_its_loss_is_the_methods():
    embeddings = torch.randn(3, 2, BATCH, DIM, generator=torch.Generator().manual_seed(0))
    shares = [0.0, 0.05, 1.0]
    slices = unit_slices(DIM, SLICES, 4, torch.device("cpu"))
    expected = [
        (1 - s) * prediction_loss(z, 2) + s * sigreg(z, slices) for s, z in zip(shares, embeddings, strict=True)
    ]
    assert torch.allclose(lejepa_loss(embeddings, torch.tensor(shares), 4), torch.stack(expected))


def test_its_optimizer_is_adam_with_a_rate_for_each_network():
    networks, rates = Networks(Points(0), 2), (0.01, 0.1)
    plain = [torch.nn.Parameter(weight[0].detach().clone()) for weight in networks.weights for _ in rates]
    adams = [torch.optim.Adam(plain[number::2], lr=rate) for number, rate in enumerate(rates)]
    for step in (1, 2, 3):
        gradients = [
            torch.randn(weight.shape, generator=torch.Generator().manual_seed(step)) for weight in networks.weights
        ]
        networks.adam(gradients, step, torch.tensor(rates).view(-1, 1, 1))
        for number, adam in enumerate(adams):
            for parameter, gradient in zip(plain[number::2], gradients, strict=True):
                parameter.grad = gradient[number]
            adam.step()
    for index, weight in enumerate(networks.weights):
        for number in (0, 1):
            assert torch.allclose(weight[number], plain[2 * index + number], atol=1e-5)


def test_recipes_do_not_touch_each_other():
    alone = train(3, [(0.1, 0.01)], 8)
    (_, beside) = train(3, [(0.0, 0.02), (0.1, 0.01)], 8)
    for name in ("loss", "accuracy", "deviation"):
        assert getattr(beside, name) == pytest.approx(getattr(alone[0], name), rel=1e-3)


def recipes(losses, accuracies, share=0.1):
    rows = zip(losses, accuracies, strict=True)
    return [Trained(share, 0.01 * number, loss, top, 0.9) for number, (loss, top) in enumerate(rows, 1)]


def test_a_low_loss_with_a_high_accuracy_ranks_it_at_1():
    assert correlation(recipes((1, 2, 3), (0.9, 0.8, 0.7))) == pytest.approx(1)
    assert correlation(recipes((1, 2, 3), (0.7, 0.8, 0.9))) == pytest.approx(-1)
    assert correlation(recipes((1, 2), (0.9, 0.8))) is None


def verdicts(trained):
    results = SeedResults("s", {0: trained})
    return [claim.verdict for claim in (collapse(results), no_collapse(results), *ranking(results))]


def test_the_claims_look_at_what_they_say():
    none = Trained(0.0, 0.01, 0.0, 0.5, 0.01)
    low, high = recipes((1, 2, 3), (0.9, 0.8, 0.7), 0.02), recipes((11, 12, 13), (0.99, 0.98, 0.97))
    trained = [none, *low, *high]
    assert (within(trained), across(trained)) == (pytest.approx(1), pytest.approx(-0.543, abs=0.001))
    assert verdicts(trained) == ["holds", "holds", "holds", "fails"]
    assert verdicts([replace(none, deviation=0.3), *trained[1:]])[0] == "fails"
    assert verdicts([none, replace(low[0], deviation=0.4), *trained[2:]])[1] == "fails"
    assert verdicts([none, *low[:2]])[2:] == ["undecided", "undecided"]
