from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from sslbench.store.json_parts import DamagedRecord
from sslbench.store.record import CurvePoint, MetricValue
from sslbench.train.curve import Curve, state_preserved

CPU = torch.device("cpu")


def network():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))
    net[1].eval()  # a part that its method keeps in eval mode
    return net


def test_modes_and_random_numbers_are_as_they_were():
    net, before = network(), torch.get_rng_state()
    with state_preserved(net, CPU):
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


def test_every_nth_epoch_and_the_last_are_evaluated():
    assert [epoch for epoch in range(1, 8) if Curve(3, dict).due(epoch, 7)] == [3, 6, 7]
    assert [epoch for epoch in range(1, 4) if Curve(9, dict).due(epoch, 3)] == [3]


def test_a_point_has_epoch_loss_and_metrics_and_its_time_is_counted():
    curve = Curve(1, lambda: {"m": MetricValue(1.0)})
    curve.add(network(), CPU, 2, 0.25)
    assert curve.points == [CurvePoint(2, 0.25, {"m": MetricValue(1.0)})]
    assert curve.seconds > 0


def test_a_curve_comes_back_from_json_as_it_was():
    metrics = {"m": MetricValue(0.1 + 0.2, "x", None, 1 / 3, 5, evaluator="knn"), "n": MetricValue(None, reason="no")}
    curve = Curve(2, lambda: metrics, {"every": 2})
    curve.add(network(), CPU, 2, 1 / 7)
    state = json.loads(json.dumps(curve.state(), allow_nan=False))
    again = Curve(2, dict, {"every": 2})
    again.restore(state)
    assert (again.points, again.seconds) == (curve.points, curve.seconds)
    assert state["asked"] == again.asked


def test_a_point_of_an_older_checkpoint_has_fewer_keys():
    metric = {"value": 0.5, "unit": "", "higher_is_better": True, "std": None, "n": None, "reason": None}
    metric |= {"evaluator": "knn"}
    curve = Curve(1, dict)
    curve.restore({"asked": {}, "points": [{"epoch": 1, "loss": 0.25, "metrics": {"m": metric}}], "seconds": 2.0})
    assert curve.points == [CurvePoint(1, 0.25, {"m": MetricValue(0.5, evaluator="knn")})]


def test_a_point_that_is_none_is_refused():
    with pytest.raises(DamagedRecord, match="epoch"):
        Curve(1, dict).restore({"asked": {}, "points": [{"epoch": "one", "loss": 0.5}], "seconds": 0.0})
