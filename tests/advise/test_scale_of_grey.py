"""Deep grey is scaled for a trained head or model as it was in training, or it is said that the scale is not known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sslbench import BuildContext
from sslbench.advise.export import export
from sslbench.advise.head import read_head
from sslbench.cli.main import call
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import Registry
from sslbench.plan.suite import RawSuite

REGISTRY = Registry()
LEVELS = {"dark": 400, "light": 3000}


def save(path, level, seed=0, dtype=np.uint16):
    """16 x 16 values around a level of 12 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = level + np.random.default_rng(seed).integers(-200, 200, (16, 16))
    Image.fromarray(values.astype(dtype)).save(path)
    return path


@pytest.fixture
def scans(tmp_path):
    for index, (name, level) in enumerate(LEVELS.items()):
        for number in range(8):
            save(tmp_path / f"scans/{name}/{number}.png", level, 10 * index + number)
    return tmp_path / "scans"


@pytest.fixture
def new(tmp_path):
    """Dark ones alone: by themselves they would be scaled to be light."""
    for number in range(3):
        save(tmp_path / f"new/{number}.png", LEVELS["dark"], 100 + number)
    return tmp_path / "new"


@pytest.fixture
def head(scans, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(["recipe", "scans", "-m", "raw-pixels", "--no-scratch", "--out", "out"]) == 0
    capsys.readouterr()
    return tmp_path / "out/head"


def labels(capsys, *arguments):
    code = call(["predict", *map(str, arguments), "--format", "json"])
    out, err = capsys.readouterr()
    return code, [row["label"] for row in json.loads(out)["predictions"]], err


def test_new_images_are_scaled_as_those_that_the_head_was_fitted_on(head, new, capsys):
    assert read_head(head).white == {"integer": 4095}
    assert labels(capsys, head, new) == (0, ["dark"] * 3, "")
    assert labels(capsys, head, *sorted(new.iterdir())) == (0, ["dark"] * 3, "")


def test_an_image_that_is_brighter_than_the_scale_is_named(head, new, capsys):
    bright = save(new / "bright.png", 9000)
    code, found, err = labels(capsys, head, bright, new / "0.png")
    assert (code, found) == (1, ["dark"])
    assert "bright.png: cannot be read, not labelled (or brighter than the head's training images" in err
    assert "whose white is 4095" in err


def test_a_head_that_does_not_know_its_scale_says_so(head, new, capsys):
    facts = json.loads((head / "head.json").read_text())
    facts.pop("white")
    (head / "head.json").write_text(json.dumps({**facts, "schema": 1, "figures": facts["numbers"]}))
    assert read_head(head).white is None
    code, found, err = labels(capsys, head, new)
    assert (code, len(found)) == (0, 3)
    assert (
        "grey of more than 8 bits: the head does not say how it is scaled; here 1023 is white, by these images alone"
        in err
    )


def test_a_head_of_other_images_says_that_the_scale_is_not_known(head, new, capsys):
    for number in range(2):
        save(new / f"{number}.tif", 700, dtype=np.float32)
    code, _, err = labels(capsys, head, new)
    assert code == 0
    assert "grey of floats: the head was fitted on no such image, so not how it is scaled; here 1023 is white" in err


def test_an_exported_model_keeps_the_scale_and_embed_uses_it(scans, new, tmp_path, capsys):
    axes = {
        "method": ["random-init"],
        "dataset": [{"name": "imagefolder", "root": str(scans), "size": 16}],
        "backbone": [{"name": "convnet-small", "width": 4}],
        "augmentation": ["auto"],
        "evaluator": ["knn"],
    }
    suite = RawSuite("scale", "scale", {"axes": axes, "training": {"device": "cpu"}})
    outcome = run(Request(suite, out=tmp_path / "results"), registry=REGISTRY)
    (record,) = outcome.records
    assert record.pretraining.input.white == {"integer": 4095}
    export([record], tmp_path / "results", tmp_path / "model", REGISTRY)
    spec = REGISTRY.get("method", "pretrained")
    encoder = spec.build(spec.params(path=str(tmp_path / "model")), BuildContext()).encoder.eval()
    assert encoder.loaded_weights.white == {"integer": 4095}

    arguments = ["--cache", str(tmp_path / "cache"), "--device", "cpu", "--precision", "fp32"]
    out = tmp_path / "x.safetensors"
    assert call(["embed", str(new), "-m", str(tmp_path / "model"), "-o", str(out), *arguments]) == 0
    assert "white" not in capsys.readouterr().err
    given = record.pretraining.input
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (given.mean, given.std))
    files = sorted(new.iterdir())
    pixels = [torch.from_numpy((np.asarray(Image.open(file)) * (255 / 4095)).round()) for file in files]
    with torch.no_grad():
        expected = encoder(torch.stack([(p.float().expand(3, 16, 16) / 255 - mean) / std for p in pixels]))
    found = load_file(out)["features"]
    order = sorted(range(3), key=lambda index: found[index].sum())
    wanted = sorted(range(3), key=lambda index: expected[index].sum())
    assert torch.allclose(found[order], expected[wanted], atol=1e-4)
