from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench_plugins.blocks.networks.transformer import StochasticDepth, depth_rates, skip


def test_whole_samples_are_left_out_as_often_as_asked_and_the_rest_makes_up_for_them():
    torch.manual_seed(0)
    out = StochasticDepth(0.25).train()(torch.ones(4000, 3, 2))
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (out.flatten(1).amax(1) == out.flatten(1).amin(1)).all(), "a sample is kept or left out as a whole"
    assert (out[:, 0, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert out.mean().item() == pytest.approx(1, abs=0.04)


def test_in_eval_mode_nothing_is_left_out():
    branch = torch.randn(5, 3)
    assert torch.equal(StochasticDepth(0.9).eval()(branch), branch)


def test_rates_rise_in_equal_steps_from_zero():
    assert depth_rates(0.1, 5) == pytest.approx([0, 0.025, 0.05, 0.075, 0.1])
    assert depth_rates(0.1, 1) == [0]
    assert isinstance(skip(0.0), nn.Identity)
