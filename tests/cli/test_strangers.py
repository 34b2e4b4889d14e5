"""Folders, heads and results of strangers run nothing: each would write a marker if its code ran."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from sslbench.cli.main import call
from sslbench.store.digests import write_json

HUBCONF = """
from pathlib import Path
import torch

Path({marker!r}).write_text("ran")


class Net(torch.nn.Module):
    def forward(self, images):
        return images.mean(dim=(2, 3))


def small(pretrained=True):
    return Net()
"""
ARGUMENTS = {"img_size": 16, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
CFG = {"input_size": [3, 16, 16], "mean": [0.5] * 3, "std": [0.25] * 3, "crop_pct": 1.0}


class WritesMarker:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch-hub"))

    def refuse(self, address):
        (tmp_path / "marker").write_text(f"asked {address}")
        raise OSError("no network in tests")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture
def photos(tmp_path):
    for index, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            pixels = np.full((16, 16, 3), 40 + 100 * index + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"photos/{name}/{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def hub(tmp_path, marker):
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/hubconf.py").write_text(HUBCONF.format(marker=str(marker)))
    return tmp_path / "repo"


@pytest.fixture
def pickled(tmp_path, marker):
    torch.save({"weight": WritesMarker(marker)}, tmp_path / "evil.pth")
    return tmp_path / "evil.pth"


def write_folder(folder, config, weights=None):
    """A model folder with this configuration and, by default, honest weights."""
    folder.mkdir()
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", num_classes=0, **ARGUMENTS)
    if weights is None:
        save_file(net.state_dict(), folder / "model.safetensors")
    else:
        shutil.copy(weights, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def config_of(architecture="vit_tiny_patch16_224", **arguments):
    return {"architecture": architecture, "model_args": ARGUMENTS | arguments, "pretrained_cfg": CFG, "sslbench": {}}


CONFIGS = {
    "checkpoint": (lambda evil: config_of(checkpoint_path=str(evil)), "has checkpoint_path"),
    "pretrained-file": (
        lambda evil: config_of(pretrained=True, pretrained_cfg={"file": str(evil)}),
        "model_args has pretrained, pretrained_cfg; allowed there: what shapes a network",
    ),
    "pretrained-url": (
        lambda evil: config_of(pretrained=True, pretrained_cfg={"url": "https://example.org/evil.pth"}),
        "has pretrained, pretrained_cfg",
    ),
    "overlay": (lambda evil: config_of(pretrained_cfg_overlay={"hf_hub_id": "a/b"}), "has pretrained_cfg_overlay"),
    "cache": (lambda evil: config_of(cache_dir=str(evil.parent)), "has cache_dir"),
    "hooks": (lambda evil: config_of(scriptable=True, exportable=True), "has scriptable, exportable"),
    "word": (lambda evil: config_of(norm_layer=f"{evil}"), "allowed: numbers, true, false, a plain word"),
    "folder": (lambda evil: config_of(f"local-dir:{evil.parent}"), "has no model name = 'local-dir:"),
    "address": (lambda evil: config_of("hf-hub:a/resnet18"), "has no model name = 'hf-hub:a/resnet18'"),
    "code": (
        lambda evil: {"sslbench": {"backbone": {"name": f"timm:name={evil}", "params": {}}}},
        "sslbench.backbone.name = ",
    ),
}


def arguments_of(command, model):
    """How a command is typed with this model."""
    run = ("-m", f"pretrained:path={model}", "-d", "digits", "-e", "knn", "--set", "train_images=64", "--out", "runs")
    return {
        "plan": ("plan", *run),
        "run": ("run", *run),
        "recipe": ("recipe", "photos", "-m", model, "--no-scratch"),
        "embed": ("embed", "photos", "-m", model, "-o", "a.npz"),
    }[command]


def text_of(capsys, marker, *arguments, codes=(1, 2)):
    """What a command prints that ends in one of these codes and runs nothing, on one line: tables are folded."""
    code = call([str(argument) for argument in arguments])
    text = " ".join("".join(capsys.readouterr()).split())
    assert not marker.exists(), marker.read_text()
    assert code in codes, text
    return text


@pytest.mark.parametrize("command", ["plan", "run", "recipe", "embed"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_configuration_reaches_timm_with_numbers_alone(capsys, photos, pickled, marker, tmp_path, command, kind):
    config, words = CONFIGS[kind]
    folder = write_folder(tmp_path / "theirs", config(pickled))
    text = text_of(capsys, marker, *arguments_of(command, folder))
    assert words in text
    assert len([line for line in text.splitlines() if words in line]) == 1


@pytest.mark.parametrize("command", ["run", "recipe", "embed"])
def test_a_folder_names_installed_backbones_alone(capsys, photos, pickled, marker, tmp_path, command):
    config = {"sslbench": {"backbone": {"name": "evil", "params": {"path": str(pickled)}}}}
    folder = write_folder(tmp_path / "theirs", config)
    assert "unknown backbone 'evil'" in text_of(capsys, marker, *arguments_of(command, folder))
    config = {"sslbench": {"backbone": {"name": "timm", "params": {"name": "resnet18.a1_in1k", "pretrained": True}}}}
    (folder / "config.json").write_text(json.dumps(config))
    text = text_of(capsys, marker, *arguments_of(command, folder), "--download")
    assert "timm/resnet18.a1_in1k is not on this machine" in text


@pytest.mark.parametrize("command", ["plan", "run", "recipe", "embed"])
def test_a_pickle_among_the_weights_is_not_run(capsys, photos, pickled, marker, tmp_path, command):
    folder = write_folder(tmp_path / "theirs", config_of(), weights=pickled)
    if command == "plan":
        text_of(capsys, marker, *arguments_of(command, folder), codes=(0,))
    else:
        assert "holds more than weights (" in text_of(capsys, marker, *arguments_of(command, folder))
    torch.load(pickled, weights_only=False)["weight"].close()
    assert marker.exists()  # the pickle would have run


def of_hub(command, hub):
    """How a command is typed with a model of torch.hub."""
    model = f"pretrained:hub={hub}:small,size=8"
    run = ("-m", model, "-d", "digits", "-e", "knn", "--set", "train_images=64", "--out", "runs")
    return {
        "plan": ("plan", *run),
        "run": ("run", *run),
        "recipe": ("recipe", "photos", "-m", model, "--no-scratch", "--out", "advice"),
        "survey": ("recipe", "photos", "-m", model, "--unlabelled", "--out", "advice"),
        "embed": ("embed", "photos", "-m", model, "-o", "a.npz"),
    }[command]


@pytest.mark.parametrize("command", ["plan", "run", "recipe", "survey", "embed"])
def test_code_of_a_repository_runs_where_it_is_trusted_alone(capsys, photos, hub, marker, command):
    text = text_of(capsys, marker, *of_hub(command, hub), codes=(2,))
    words = f"method 'pretrained' would run the code of {hub} (hub={hub}:small); --trust allows it"
    assert text == f"sslbench: error: {words}"
    assert call([*of_hub(command, hub), "--trust"]) == 0
    assert marker.exists() == (command != "plan")


def test_heads_and_results_that_name_code_ask_for_trust(capsys, photos, hub, marker):
    assert call([*of_hub("run", hub), "--trust"]) == 0
    assert call([*of_hub("recipe", hub), "--trust"]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines()[-1].startswith("  sslbench predict advice/head NEW_IMAGES --trust")
    marker.unlink()
    words = f"method 'pretrained' would run the code of {hub} (hub={hub}:small); --trust allows it"
    assert words in text_of(capsys, marker, "predict", "advice/head", "photos", codes=(2,))
    assert words in text_of(capsys, marker, "export", "runs", "-o", "model", codes=(2,))
    assert call(["predict", "advice/head", "photos", "--trust"]) == 0
    assert marker.exists()


def test_a_suite_file_that_names_code_asks_for_trust(capsys, hub, marker, tmp_path):
    method = json.dumps({"name": "pretrained", "hub": f"{hub}:small"}).replace('":', '" =')
    (tmp_path / "theirs.toml").write_text(f'[axes]\nmethod = [{method}]\ndataset = ["digits"]\nevaluator = ["knn"]\n')
    for command in ("plan", "run"):
        text = text_of(capsys, marker, command, "theirs.toml", "--out", "runs", codes=(2,))
        assert text.endswith("--trust allows it")


def test_a_head_names_installed_methods_that_take_no_step_alone(capsys, photos, hub, marker, tmp_path):
    folder = write_folder(tmp_path / "mine", config_of())
    assert call(["recipe", "photos", "-m", str(folder), "--no-scratch", "--out", "advice"]) == 0
    capsys.readouterr()
    path = tmp_path / "advice/head/head.json"
    facts = json.loads(path.read_text())
    backbone = {"name": "convnet-small", "params": {"width": 4}}
    for method, words in (
        ({"name": "simclr", "params": {}}, "the head's model, simclr, takes training steps"),
        ({"name": "random-init", "params": {}}, "the head reads 24 features, its model gives 16"),
        ({"name": "random-init", "params": {"path": "x"}}, "unknown parameter 'path'"),
        ({"name": "os.system", "params": {}}, "unknown method 'os.system'"),
    ):
        model = {"method": method, "backbone": backbone}
        write_json(path, {**facts, "model": model, "weights": ""})
        text = text_of(capsys, marker, "predict", "advice/head", "photos", codes=(2,))
        assert words in text
        assert len(text.splitlines()) == 1
