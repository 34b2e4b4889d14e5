"""Dense evaluators on models with rotary positions and attention pools: from a folder to a score."""

from __future__ import annotations

import json
import math

import pytest
import timm
import torch
from safetensors.torch import save_file

from sslbench import BuildContext, TokenBackbone
from sslbench.cli.main import call
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

SPEC = Registry().get("method", "pretrained")
ARCHITECTURES = {
    "dinov3": "vit_small_patch16_dinov3",
    "eva02-clip": "eva02_base_patch16_clip_224",
    "perception-encoder": "vit_pe_core_tiny_patch16_384",
    "siglip2": "vit_base_patch16_siglip_224",
}
ARGUMENTS = {"depth": 2, "embed_dim": 48, "num_heads": 4, "img_size": 64}
PUBLISHED = {
    "input_size": [3, 64, 64],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "crop_pct": 1.0,
    "interpolation": "bicubic",
    "num_classes": 5,
    "classifier": "head",
    "first_conv": "patch_embed.proj",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small networks, drawn and not trained, as timm's ``save_for_hf`` leaves them."""
    root = tmp_path_factory.mktemp("models")
    for name, architecture in ARCHITECTURES.items():
        torch.manual_seed(0)
        net = timm.create_model(architecture, num_classes=5, **ARGUMENTS)
        (root / name).mkdir()
        save_file(net.state_dict(), root / name / "model.safetensors")
        config = {"architecture": architecture, "model_args": ARGUMENTS, "num_classes": 5, "pretrained_cfg": PUBLISHED}
        (root / name / "config.json").write_text(json.dumps(config))
    return root


def build(**given):
    return SPEC.build(SPEC.params(**given), BuildContext())


@torch.no_grad()
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_folder_is_the_network_that_timm_builds_of_it(folders, name):
    path = str(folders / name)
    encoder = build(path=path).encoder.eval()
    expected = timm.create_model(f"local-dir:{path}", pretrained=True, num_classes=0).eval()
    images = torch.randn(2, 3, 64, 64)
    assert isinstance(encoder, TokenBackbone)
    assert torch.allclose(encoder(images), expected(images), atol=1e-5)
    assert SPEC.provided(SPEC.params(path=path)) == {"encoder", "tokens", "attention"}


@torch.no_grad()
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_at_another_size_it_is_the_network_that_timm_resizes(folders, name):
    path = str(folders / name)
    method = build(path=path, size=96)
    expected = timm.create_model(f"local-dir:{path}", pretrained=True, num_classes=0).eval()
    expected.set_input_size((96, 96))
    images = torch.randn(2, 3, 96, 96)
    assert (method.input_spec.size, method.encoder.grid) == (96, (6, 6))
    assert torch.allclose(method.encoder.eval()(images), expected(images), atol=1e-5)


@pytest.mark.parametrize("name", ["dinov3", "siglip2"])
def test_it_keeps_the_contract(folders, name):
    assert problems(SPEC, path=str(folders / name)) == []


def test_every_dense_evaluator_scores_every_family(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    families = ("dinov3", "perception-encoder", "siglip2")
    methods = [part for name in families for part in ("-m", f"pretrained:path={folders / name}")]
    evaluators = ("dense-segmentation", "dense-regression", "attention-segmentation")
    data = "shapes:image_size=64,train_images=24,test_images=8"
    run = ["run", *methods, "-d", data, *[part for name in evaluators for part in ("-e", name)], "--device", "cpu"]
    assert call([*run, "--out", "runs", "--format", "json"]) == 0
    records = json.loads(capsys.readouterr().out)["records"]
    assert [record["status"] for record in records] == ["done"] * len(families) * len(evaluators)
    values = [metric["value"] for record in records for metric in record["metrics"].values()]
    assert len(values) > len(records)
    assert all(math.isfinite(value) for value in values)
