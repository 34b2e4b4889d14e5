"""Training by steps that are CUDA graphs: it must be the training that it would be without."""

from __future__ import annotations

import pytest
import torch

from sslbench.errors import UserError
from tests.train.test_graph import CASES, changed, same, state_of, trained

pytestmark = pytest.mark.gpu
CLOSE = {"rtol": 1e-2, "atol": 1e-3}
"""Rates are float32 on the device, and some kernels add up in another order each time."""


@pytest.fixture
def gpu():
    return torch.device("cuda")


@pytest.mark.parametrize(("name", "given", "settings"), CASES)
def test_a_captured_training_is_the_same(gpu, name, given, settings):
    """Another random number, rate or momentum in a single step would show."""
    expected, eager = trained(name, given, device=gpu, **settings)
    facts, captured = trained(name, given, device=gpu, cuda_graphs=True, **settings)
    assert facts.losses == pytest.approx(expected.losses, rel=1e-3)
    assert facts.scalars == pytest.approx(expected.scalars, rel=1e-2)
    same(state_of(captured), state_of(eager), **CLOSE)


@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
def test_every_optimizer_reads_its_rates_and_decay_from_the_device(gpu, optimizer):
    given = {"optimizer": optimizer, "weight_decay": 1e-3, "weight_decay_end": 1e-1}
    expected, eager = trained("byol", given, device=gpu)
    facts, captured = trained("byol", given, device=gpu, cuda_graphs=True)
    assert facts.losses == pytest.approx(expected.losses, rel=1e-3)
    same(state_of(captured), state_of(eager), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simclr", "dino"])
def test_compiled_parts_can_be_captured(gpu, name):
    expected, _ = trained(name, device=gpu, compile=True)
    facts, _ = trained(name, device=gpu, compile=True, cuda_graphs=True)
    assert facts.losses == pytest.approx(expected.losses, rel=1e-2)


def test_what_waits_for_the_device_is_refused_in_one_line_and_the_next_training_goes_well(gpu, monkeypatch):
    with monkeypatch.context() as patch:
        hook = {"after_backward": lambda method, progress: next(method.parameters()).sum().item()}
        run = changed("simclr", patch, device=gpu, **hook)
        with pytest.raises(UserError, match="cuda_graphs: a step of SimCLR cannot be captured: ") as refused:
            run.run()
        assert "\n" not in str(refused.value)
    expected, _ = trained("simclr", device=gpu)
    facts, _ = trained("simclr", device=gpu, cuda_graphs=True)
    assert facts.losses == pytest.approx(expected.losses, rel=1e-3)


def test_graphs_give_their_memory_back(gpu, monkeypatch):
    """A step that is captured in every epoch needs no more memory in the end than one that is captured once."""
    peaks = []
    for hook in (lambda method, progress: None, lambda method, progress: progress.epoch):
        with monkeypatch.context() as patch:
            run = changed("simclr", patch, device=gpu, epochs=8, after_step=hook)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            run.run()
            peaks.append(torch.cuda.max_memory_reserved())
            del run
    assert peaks[1] <= 1.5 * peaks[0]
