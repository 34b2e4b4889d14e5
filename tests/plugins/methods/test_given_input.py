"""The input of somebody else's model: what the user sets, what its configuration says, and what is a guess."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from sslbench import BuildContext
from sslbench.cli.main import call
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry

SPEC = Registry().get("method", "pretrained")


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    net = timm.create_model("resnet10t", num_classes=7)
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    return str(tmp_path / "net.safetensors")


def build(**given):
    params, mistakes = resolve(SPEC.label, SPEC.params, given, SPEC.presets)
    assert mistakes == []
    return SPEC.build(params, BuildContext())


def test_what_the_user_sets_is_given_and_what_is_not_known_is_called_a_guess(file):
    method = build(path=file, name="resnet10t", mean=[0.1, 0.2, 0.3], crop=1.0)
    weights, given = method.encoder.loaded_weights, method.input_spec
    assert (given.mean, given.crop, given.size) == ((0.1, 0.2, 0.3), 1.0, 176)
    guessed = {"size", "std", "interpolation"}
    assert weights.input_from == {"mean": "user", "crop": "user"} | dict.fromkeys(guessed, "guess")
    used, guess = weights.notes
    assert used == "84 of 86 tensors are used; left out: fc.bias, fc.weight: the classifier, or a head in its place"
    std = "[0.229, 0.224, 0.225]"
    assert guess == (
        f"its input is a guess: size = 176, std = {std}, interpolation = bicubic; parameters of these names set it"
    )


def test_of_a_name_with_a_tag_timm_says_the_input(file):
    weights = build(path=file, name="resnet10t.c3_in1k").encoder.loaded_weights
    assert set(weights.input_from.values()) == {"timm"}
    assert len(weights.notes) == 1


def test_a_configuration_says_a_part_and_the_rest_is_a_guess(file, tmp_path):
    cfg = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "crop_mode": "border", "interpolation": "lanczos"}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet10t", "pretrained_cfg": cfg}))
    method = build(path=file)
    weights = method.encoder.loaded_weights
    origins = {"size": "config", "mean": "config", "interpolation": "config", "std": "guess", "crop": "guess"}
    assert weights.input_from == origins
    assert (method.input_spec.size, method.input_spec.interpolation) == (32, "bicubic")
    assert "its configuration wants lanczos interpolation; bicubic is taken" in weights.notes
    assert "its configuration wants a border around images; a centre crop is taken" in weights.notes


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mean": [0.5, 0.5]}, "mean"),
        ({"mean": [123.7, 116.3, 103.5]}, "less than or equal to 1"),
        ({"std": [0.2, 0.0, 0.2]}, "greater than 0"),
        ({"crop": 1.5}, "less than or equal to 1"),
        ({"interpolation": "lanczos"}, "'bilinear' or 'bicubic'"),
        ({"weights": "teacher"}, "'auto', 'ema' or 'raw'"),
    ],
)
def test_wrong_values_are_refused(file, given, words):
    params, mistakes = resolve(SPEC.label, SPEC.params, {"path": file, "name": "resnet10t", **given}, SPEC.presets)
    assert params is None
    assert words in mistakes[0]


def test_the_record_has_the_input_that_was_given_and_the_run_says_a_guess_once(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = f"pretrained:path={file},name=resnet10t,size=32,mean=[0.4,0.4,0.4]"
    run = ("run", "-m", model, "-d", "digits", "-e", "knn", "--set", "train_images=64", "--out", "runs")
    assert call([*run, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    weights = json.loads(out)["records"][0]["pretraining"]["weights"]
    assert (weights["input"]["size"], weights["input"]["mean"]) == (32, [0.4] * 3)
    assert (weights["input_from"]["size"], weights["input_from"]["std"]) == ("user", "guess")
    assert weights["tensors"] == weights["used"] + sum(sum(names.values()) for names in weights["dropped"].values())
    assert sum("its input is a guess: std = [0.229" in line for line in err.splitlines()) == 1
