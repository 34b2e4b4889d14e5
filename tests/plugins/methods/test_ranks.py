"""Two gloo processes of eight images each take the step of one process with sixteen."""

from __future__ import annotations

import pytest

from sslbench.hooks.registry import Registry
from sslbench.testing.conformance.two_devices import of_methods

REGISTRY = Registry()
TRAINED = [name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains]
PROTOTYPES = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8}
SMALL = {
    "moco": {"queue_size": 40, "dim": 8, "symmetric": True},
    "moco-v3": {"hidden_dim": 16, "dim": 8},
    "byol": {"hidden_dim": 16, "dim": 8},
    "simsiam": {"projector_dim": 16, "predictor_dim": 8},
    "dino": {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "head_norm": True, "local_crops": 2},
    "ibot": {**PROTOTYPES, "local_crops": 2, "drop_path": 0},
    "dinov2": {**PROTOTYPES, "local_crops": 2, "drop_path": 0},
    "distill": {"teacher": "raw-pixels"},
    "ijepa": {"predictor_dim": 16, "predictor_depth": 1, "predictor_heads": 2},
    "lejepa": {"hidden_dim": 16, "slices": 32, "global_views": 2, "local_views": 1},
    "mae": {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2},
}
VARIANTS = {
    "ibot with two heads": ("ibot", {**SMALL["ibot"], "heads": "separate"}),
    "dinov2 with running means": ("dinov2", {**SMALL["dinov2"], "centring": "softmax", "koleo_crops": 2}),
}
TRIALS = {name: (name, SMALL.get(name, {})) for name in TRAINED} | VARIANTS


@pytest.fixture(scope="module")
def problems():
    """Of each method, from one pair of processes."""
    specs = [(REGISTRY.get("method", name), given) for name, given in TRIALS.values()]
    return dict(zip(TRIALS, of_methods([(spec, spec.params(**given)) for spec, given in specs]), strict=True))


@pytest.mark.parametrize("trial", TRIALS)
def test_loss_scalars_gradients_and_the_state_after_a_step_are_those_of_one_process(trial, problems):
    assert problems[trial] == []
