from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench.train.curve import Curve, as_it_was

CPU = torch.device("cpu")


def network():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))
    net[1].eval()  # a part that its method keeps in eval mode
    return net


def test_modes_and_random_numbers_are_as_they_were():
    net, before = network(), torch.get_rng_state()
    with as_it_was(net, CPU):
        net.eval()
        torch.rand(3)
        torch.manual_seed(7)
    assert [module.training for module in net.modules()] == [True, True, False, True, True, True]
    assert torch.equal(torch.get_rng_state(), before)


def test_they_are_after_an_error_too():
    net, before = network(), torch.get_rng_state()

    def fails():
        net.eval()
        torch.rand(3)
        raise ValueError("out")

    with pytest.raises(ValueError, match="out"):
        Curve(1, fails).add(net, CPU, 1, 0.5)
    assert net.training
    assert torch.equal(torch.get_rng_state(), before)


def test_every_nth_epoch_and_the_last_are_judged():
    assert [epoch for epoch in range(1, 8) if Curve(3, dict).due(epoch, 7)] == [3, 6, 7]
    assert [epoch for epoch in range(1, 4) if Curve(9, dict).due(epoch, 3)] == [3]


def test_a_point_has_epoch_loss_and_metrics_and_its_time_is_counted():
    curve = Curve(1, lambda: {"m": {"value": 1.0}})
    took = curve.add(network(), CPU, 2, 0.25)
    assert curve.points == [{"epoch": 2, "loss": 0.25, "metrics": {"m": {"value": 1.0}}}]
    assert curve.seconds == took > 0
    again = Curve(1, dict)
    again.restore(curve.facts())
    assert (again.points, again.seconds) == (curve.points, took)
