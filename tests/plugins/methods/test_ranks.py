"""Two gloo processes of eight images each take the step of one process with sixteen."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from sslbench.hooks.registry import Registry
from sslbench.testing.conformance.two_devices import of_methods

REGISTRY = Registry()
TRAINED = [name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains]
PROTOTYPES = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8}
SMALL = {
    "vicreg": {"hidden_dim": 16, "dim": 8},
    "barlow-twins": {"hidden_dim": 16, "dim": 8},
    "swav": {"prototypes": 12, "hidden_dim": 16, "dim": 8, "queue_size": 16, "queue_start": 0, "freeze_prototypes": 0},
    "swav-with-full-queue": {"prototypes": 12, "dim": 8, "queue_size": 20, "queue_start": 0, "freeze_prototypes": 0},
    "moco": {"queue_size": 40, "dim": 8, "symmetric": True},
    "moco-v3": {"hidden_dim": 16, "dim": 8},
    "byol": {"hidden_dim": 16, "dim": 8},
    "simsiam": {"projector_dim": 16, "predictor_dim": 8},
    "dino": {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "head_norm": True, "local_crops": 2},
    "ibot": {**PROTOTYPES, "local_crops": 2, "drop_path": 0},
    "dinov2": {**PROTOTYPES, "local_crops": 2, "drop_path": 0},
    "distill": {"teacher": "raw-pixels", "loss": "similarity", "queue_size": 40},
    "ijepa": {"predictor_dim": 16, "predictor_depth": 1, "predictor_heads": 2},
    "lejepa": {"hidden_dim": 16, "slices": 32, "global_views": 2, "local_views": 1},
    "mae": {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2},
}
VARIANTS = {
    "ibot with two heads": ("ibot", {**SMALL["ibot"], "heads": "separate"}),
    "dinov2 with running means": ("dinov2", {**SMALL["dinov2"], "centring": "softmax", "koleo_crops": 2}),
}


def with_full_queue():
    """The specs of a file beside this one, which the processes find by its place."""
    place = importlib.util.spec_from_file_location("full_queue", Path(__file__).with_name("swav_with_full_queue.py"))
    module = importlib.util.module_from_spec(place)
    sys.modules[place.name] = module
    place.loader.exec_module(module)
    return module.sslbench_methods()


@pytest.fixture(scope="module")
def problems():
    """Of each method, from one pair of processes."""
    specs = {name: REGISTRY.get("method", name) for name in TRAINED} | {spec.name: spec for spec in with_full_queue()}
    trials = {name: (spec, SMALL.get(name, {})) for name, spec in specs.items()}
    trials |= {label: (specs[name], given) for label, (name, given) in VARIANTS.items()}
    found = of_methods([(spec, spec.params(**given)) for spec, given in trials.values()])
    return dict(zip(trials, found, strict=True))


@pytest.mark.parametrize("trial", [*TRAINED, "swav-with-full-queue", *VARIANTS])
def test_loss_scalars_gradients_and_the_state_after_a_step_are_those_of_one_process(trial, problems):
    assert problems[trial] == []
