"""The commands for a user's own images, as they are typed."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from sslbench.advise import recipe
from sslbench.cli.main import call


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(recipe, "SCRATCH_EPOCHS", (1, 1))


@pytest.fixture
def photos(tmp_path):
    for index, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            noise = np.random.default_rng(10 * index + number).integers(0, 90, (16, 16, 3))
            noise[..., index] += 150
            Image.fromarray(noise.astype(np.uint8)).save(tmp_path / f"photos/{name}/{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def model(tmp_path):
    """Below the current folder, where it is looked for by default."""
    arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
    (tmp_path / "mine").mkdir()
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments)
    save_file(net.state_dict(), tmp_path / "mine/model.safetensors")
    cfg = {"input_size": [3, 16, 16], "mean": [0.5] * 3, "std": [0.25] * 3, "crop_pct": 1.0}
    config = {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "pretrained_cfg": cfg, "sslbench": {}}
    (tmp_path / "mine/config.json").write_text(json.dumps(config))
    return tmp_path / "mine"


def call_with(capsys, *arguments):
    code = call([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_recipe_then_predictions(capsys, photos, model):
    code, out, _ = call_with(capsys, "recipe", "photos")
    assert code == 0
    lines = out.splitlines()
    # Four of four right is what a coin gives once in sixteen times.
    assert lines[0].startswith(
        "Cannot tell with 4 images to evaluate on: that it is better than always answering 'cat'"
    )
    assert lines[lines.index("") + 1] == (
        "photos: 2 classes, 12 training images, 4 to evaluate on (a held-out fifth of each class)"
    )
    (row,) = [line for line in lines if line.startswith("*")]
    assert row.split()[:3] == ["*mine", "100.0", "100.0"]
    assert any(line[1:].startswith("from scratch (convnet-small, 1 epoch)") for line in lines)
    assert "=mine, untrained" in out
    assert " always answering 'cat'" in out
    assert lines[-2:] == ["Next:", "  sslbench predict sslbench-results/recipe/head NEW_IMAGES --unsure-first"]
    assert max(map(len, lines)) <= 120

    head = "sslbench-results/recipe/head"
    code, out, _ = call_with(capsys, "predict", head, "photos/cat", "photos/dog/0.png", "--format", "json")
    data = json.loads(out)
    assert (code, data["schema"]) == (0, 2)
    assert [row["label"] for row in data["predictions"]] == ["cat"] * 8 + ["dog"]
    assert all(sum(row["probabilities"].values()) == pytest.approx(1) for row in data["predictions"])
    code, out, _ = call_with(capsys, "predict", head, "photos/dog", "--format", "csv", "--unsure-first")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [*rows[0]] == ["path", "label", "probability", "p(cat)", "p(dog)"]
    assert {row["label"] for row in rows} == {"dog"}
    shares = [float(row["probability"]) for row in rows]
    assert shares == sorted(shares)
    code, out, _ = call_with(capsys, "predict", head, "photos/dog/0.png")
    assert out.splitlines()[0].split() == ["image", "label", "%", "next", "%"]

    (photos / "dog/bad.png").write_text("")
    code, out, err = call_with(capsys, "predict", head, "photos/dog/0.png", "photos/dog/bad.png")
    assert code == 1
    assert "photos/dog/0.png" in out
    assert "sslbench: photos/dog/bad.png: cannot be read, not labelled" in err


def test_advice_whose_head_cannot_be_written_is_printed_and_ends_in_3(capsys, photos, model, monkeypatch):
    def full(head, folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(recipe, "write_head", full)
    code, out, err = call_with(capsys, "recipe", "photos", "-m", "mine", "--no-scratch")
    assert code == 3
    assert "Next:" in out
    (line,) = [line for line in err.splitlines() if "not stored" in line]
    assert line.startswith("sslbench: the head for sslbench predict is not stored: OSError: [Errno 28] No space left")


def test_a_recipe_as_json(capsys, photos, model):
    code, out, _ = call_with(capsys, "recipe", "photos", "-m", "mine", "--no-scratch", "--format", "json")
    data = json.loads(out)
    assert (code, data["schema"], data["chosen"]) == (0, 2, 0)
    assert data["folder"]["classes"] == ["cat", "dog"]
    assert data["models"][0]["linear"] == 1.0
    assert data["advice"]["verdict"] == "cannot tell"
    assert data["command"][:2] == ["sslbench", "predict"]
    labels = ["mine", "raw-pixels", "random-init", "mine, untrained", "always answering 'cat'"]
    assert [row["label"] for row in data["models"]] == labels
    assert data["models"][0]["share"] == {"value": 1.0, "low": pytest.approx(0.51, abs=0.01), "high": 1.0, "images": 4}
    constant = data["evidence"]["constant"]
    assert (constant["value"], constant["difference"]["mean"], constant["difference"]["p"]) == (0.5, 0.5, 0.125)
    assert constant["images_needed"] == 6


def test_images_without_labels(capsys, photos, model):
    shutil.copy(photos / "cat/0.png", photos / "dog/same.png")
    code, out, _ = call_with(capsys, "recipe", "photos", "--unlabelled")
    assert code == 0
    for words in (
        "photos: 17 images without labels",
        "Equal files: 2 images in 1 group\n  cat/0.png = dog/same.png",
        "1.000  cat/0.png  dog/same.png",
        "Unlike all others",
        "Nearest neighbours of some images:",
        "What follows is by the features of mine.",
    ):
        assert words in out
    code, out, _ = call_with(capsys, "recipe", "photos/cat", "--format", "json")
    data = json.loads(out)
    assert (code, data["images"], data["equal_files"]) == (0, 8, [])
    assert set(data["models"][0]["metrics"]) >= {"spread"}


def test_features_in_a_file(capsys, photos, model, tmp_path):
    code, out, _ = call_with(capsys, "embed", "photos", "-m", "mine", "-o", "features.npz")
    assert (code, out) == (0, "features.npz: 16 images, 24 features, 2 classes\n")
    with np.load(tmp_path / "features.npz") as arrays:
        assert arrays["features"].shape == (16, 24)
    code, out, _ = call_with(capsys, "embed", "digits", "-m", "raw-pixels", "-o", "digits.parquet")
    assert (code, out) == (0, "digits.parquet: 1,797 images, 192 features, 10 classes\n")


def test_a_trained_encoder_is_exported_and_run_again(capsys, tmp_path):
    small = ("-b", "convnet-small:width=4", "-e", "knn", "--epochs", "1", "--set", "train_images=64", "--out", "runs")
    assert call_with(capsys, "run", "-m", "simclr", *small)[0] == 0
    code, out, _ = call_with(capsys, "export", "runs", "--where", "method=simclr", "-o", "model")
    assert code == 0
    assert out.splitlines()[0].startswith("simclr affine convnet-small digits seed 0: 16 features, ")
    assert "sslbench run -m pretrained:path=model" in out
    code, out, _ = call_with(capsys, "run", "-m", "pretrained:path=model", *small, "--format", "json")
    assert (code, json.loads(out)["records"][0]["features"]["dim"]) == (0, 16)
    with closing(sqlite3.connect(tmp_path / "runs/results.sqlite")) as db, db:
        db.execute("UPDATE record SET text = '{}' WHERE text LIKE '%\"method\":\"pretrained\"%'")
    code, out, err = call_with(capsys, "export", "runs", "-o", "again")
    (line,) = err.splitlines()
    assert line.startswith("sslbench: warning: runs/results.sqlite: record of cell ")
    assert line.endswith(": damaged: cell is missing; it is left out")
    assert code == 0
    assert out.splitlines()[0].startswith("simclr affine convnet-small digits seed 0: 16 features, ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("recipe", "nowhere"), "nowhere: no such folder"),
        (("recipe", "file.txt"), "file.txt: is a file, not a folder"),
        (("recipe", "empty"), "/empty holds no image"),
        (("recipe", "empty", "--labels", "l.csv", "--unlabelled"), "--labels and --unlabelled: give one of them"),
        (("recipe", "empty", "--labels", "none.csv"), "none.csv cannot be read: "),
        (("recipe", "empty", "-m", "simclr"), "--model: simclr has to be trained first"),
        (("recipe", "empty", "-m", "simclrr"), "unknown method 'simclrr'; did you mean 'simclr'?"),
        (("recipe", "empty", "--device", "tpu"), "--device 'tpu': allowed are auto, cpu, cuda"),
        (("predict", "empty", "file.txt"), "empty: holds no head that `sslbench recipe` wrote"),
        (("embed", "digits", "-m", "raw-pixels", "-o", "a.csv"), "allowed: .parquet, .npz, .safetensors"),
        (("embed", "digit", "-m", "raw-pixels", "-o", "a.npz"), "unknown dataset 'digit'; did you mean 'digits'?"),
        (("embed", "digits", "-m", "random-init", "-b", "nope", "-o", "a.npz"), "--backbone: unknown backbone 'nope'"),
        (("export", "empty", "-o", "out"), "empty: holds no results"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("")
    code, out, err = call_with(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert err.startswith("sslbench: error: ")


@pytest.mark.parametrize("verdict", ["fine-tune", "another model"])
def test_the_command_that_comes_next_is_one_that_can_be_run(capsys, photos, model, verdict):
    from pathlib import Path

    from sslbench.advise.frozen import Model, Session, Settings
    from sslbench.advise.verdict import Advice
    from sslbench.hooks.registry import default_registry
    from sslbench.plan.choose import model_reference

    registry = default_registry()
    settings = Settings("cpu", "fp32", Path("out"), download=True)
    run = recipe.RecipeRun(Path("photos"), None, Session(settings, registry, lambda event: None))
    candidate = recipe.Candidate(Model.of(model_reference("mine"), registry), 20, "model")
    name, command, *arguments = recipe.next_command(run, Advice(verdict, "", ()), candidate)
    assert (name, command) == ("sslbench", "run")
    code, out, _ = call_with(capsys, "plan", *arguments, "--format", "json")
    cells = json.loads(out)["cells"]
    assert code == 0
    assert {cell["status"] for cell in cells} == {"to run"}
    methods = {"fine-tune": {"pretrained"}, "another model": {"simclr", "random-init"}}
    assert {cell["method"] for cell in cells} == methods[verdict]
    assert {cell["dataset"] for cell in cells} == {"imagefolder"}
    if verdict == "fine-tune":
        assert {cell["evaluator"] for cell in cells} == {"fine-tune", "linear-probe"}
    else:
        session = Session(Settings("cpu", "fp32", Path("out")), registry, lambda event: None)
        run = recipe.RecipeRun(Path("photos"), Path("labels.csv"), session)
        again = recipe.next_command(run, Advice(verdict, "", ()), None)
        assert again == ("sslbench", "recipe", "photos", "--labels", "labels.csv", "--download")
