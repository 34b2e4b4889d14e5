"""Three steps, a kill, and three more in another process are six steps in one, bit for bit, for every method."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sslbench.hooks.registry import Registry
from sslbench.train.checkpoint import load_tensors

REGISTRY = Registry()
TRAINED = [name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains]
SCRIPT = Path(__file__).with_name("interrupted.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What one process leaves that begins every training, and what another leaves that ends it."""
    folder = tmp_path_factory.mktemp("interrupted")
    for part in ("begin", "end"):
        call = [sys.executable, str(SCRIPT), json.dumps(TRAINED), part, str(folder)]
        ended = subprocess.run(call, capture_output=True, text=True, timeout=200)
        assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.parametrize("name", TRAINED)
def test_another_process_goes_on_bit_for_bit(folder, name):
    (whole, of_whole), (rest, of_rest) = (load_tensors(folder / f"{name}.{part}") for part in ("whole", "rest"))
    assert (of_whole["resumed_at"], of_rest["resumed_at"]) == (None, 3)
    assert of_whole["steps"] == of_rest["steps"] == 6
    # Weights, moving averages, queue and centre are method/..., the optimizer's memory optimizer/...
    assert whole.keys() == rest.keys()
    assert any(key.startswith("optimizer/") for key in whole)
    different = [key for key, value in whole.items() if not torch.equal(value, rest[key])]
    assert different == []
    # Rates and decays of every group, and the loss.
    for fact in ("param_groups", "optimizer_numbers", "final_loss", "scalars"):
        assert of_whole[fact] == of_rest[fact]


@pytest.mark.parametrize("name", TRAINED)
def test_another_process_continues_with_the_same_views_and_masks(folder, name):
    (_, of_whole), (_, of_rest) = (load_tensors(folder / f"{name}.{part}") for part in ("whole", "rest"))
    assert len(set(of_whole["inputs"])) == 6, "no two steps are the same"
    assert of_whole["inputs"][3:] == of_rest["inputs"]


def test_every_kind_of_state_is_there(folder):
    """What the comparison would be worth nothing without."""
    keys = {name: load_tensors(folder / f"{name}.whole")[0] for name in ("moco", "dino", "byol", "swav")}
    assert int(keys["moco"]["method/queue.place"]) == 6 * 16 % 40
    assert int(keys["swav"]["method/queue.place"]) == 4 * 16 % 20
    assert keys["dino"]["method/centre"].any()
    assert any(key.startswith("method/target_backbone.") for key in keys["byol"])
