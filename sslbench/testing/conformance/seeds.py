"""Networks and methods begin as the run's seed says, and no two of them are one."""

from __future__ import annotations

import torch
from torch import nn

from sslbench.testing.conformance import backbones, methods
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.modules import changed, shared_memory, state_of
from sslbench.testing.conformance.problem import Problems


def made(trial: Trial, seed: int) -> tuple[nn.Module, int]:
    """A new one, as a seed initialises it, and a number that torch's global generator draws after it."""
    kept = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        built = (backbones if trial.spec.kind == "backbone" else methods).build(trial)
        return built, int(torch.randint(2**60, ()))
    finally:
        torch.set_rng_state(kept)


@check("backbone method", "torch's global generators are seeded before ``build``", "build")
def the_seed_decides(trial: Trial) -> Problems:
    """The same for one seed, no seed of its own, and no tensor of another one."""
    (first, drawn), (again, _), (_, of_another_seed) = made(trial, 0), made(trial, 0), made(trial, 1)
    if first is again:
        yield "build returns the same object every time: the seeds of a run would train one network"
    elif names := shared_memory(first, again):
        yield f"two that are built share the memory of {names[0]}"
    elif names := changed(state_of(first), state_of(again)):
        yield f"built twice with one seed, {names[0]} differs"
    if drawn == of_another_seed:
        yield "build sets torch's global seed: all seeds of a run would begin alike"
