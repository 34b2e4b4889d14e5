"""Models of others: their input, what is read of their files, and that nothing is fetched without consent."""

from __future__ import annotations

import argparse
import json

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from sslbench import BuildContext, TokenBackbone, UserError
from sslbench.contracts.executor import TrainingSettings
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import changed
from sslbench.plan.choose import chosen
from sslbench.plan.expand import single
from sslbench.plan.reference import Reference
from sslbench.testing.conformance import problems

REGISTRY = Registry()
SPEC = REGISTRY.get("method", "pretrained")
ARCHITECTURE, ARGUMENTS = "vit_tiny_patch16_224", {"img_size": 32, "depth": 2, "patch_size": 8}
CONFIG = {
    "architecture": ARCHITECTURE,
    "num_features": 192,
    "model_args": ARGUMENTS,
    "pretrained_cfg": {
        "input_size": [3, 32, 32],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "crop_pct": 0.875,
        "interpolation": "bilinear",
    },
}


def small_vit(seed=0, **arguments):
    torch.manual_seed(seed)
    net = timm.create_model(ARCHITECTURE, num_classes=0, **{**ARGUMENTS, **arguments})
    for p in net.parameters():  # biases and scales of a new network are all 0 or 1
        nn.init.normal_(p, std=0.1)
    return net.eval()


def build(download=False, **overrides):
    params, mistakes = resolve(SPEC.label, SPEC.params, overrides, SPEC.presets)
    assert mistakes == []
    return SPEC.build(params, BuildContext(image_size=8, download=download)).eval()


@torch.no_grad()
def features(encoder, size=32):
    return encoder(torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def vit():
    return small_vit()


@pytest.fixture
def folder(tmp_path, vit):
    """As timm's ``save_for_hf`` leaves one."""
    (tmp_path / "model").mkdir()
    save_file(vit.state_dict(), tmp_path / "model/model.safetensors")
    (tmp_path / "model/config.json").write_text(json.dumps(CONFIG))
    return tmp_path / "model"


def test_a_folder_is_built_as_its_configuration_says(folder, vit):
    method = build(path=str(folder))
    assert torch.equal(features(method.encoder), features(vit))
    wanted = method.input_spec
    assert (wanted.size, wanted.mean, wanted.std) == (32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (wanted.crop, wanted.interpolation) == (0.875, "bilinear")
    assert isinstance(method.encoder, TokenBackbone)
    assert method.encoder.grid == (4, 4)
    assert {"encoder", "tokens"} <= SPEC.provided(SPEC.params(path=str(folder)))
    assert problems(SPEC, path=str(folder)) == []


def test_a_file_finds_the_configuration_beside_it(folder, vit):
    assert torch.equal(features(build(path=str(folder / "model.safetensors")).encoder), features(vit))


def test_a_file_of_an_architecture_has_the_input_of_that_architecture(tmp_path):
    torch.manual_seed(0)
    net = timm.create_model("resnet18.a1_in1k", num_classes=10).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    method = build(path=str(tmp_path / "net.pth"), name="resnet18.a1_in1k")
    net.reset_classifier(0)
    assert torch.equal(features(method.encoder, 64), features(net, 64))
    config = timm.data.resolve_model_data_config(net)
    assert (method.input_spec.size, method.input_spec.crop) == (config["input_size"][1], config["crop_pct"])
    assert (method.input_spec.mean, method.input_spec.interpolation) == (config["mean"], config["interpolation"])
    assert SPEC.provided(SPEC.params(path=str(tmp_path / "net.pth"), name="resnet18")) == {"encoder"}


OTHER = {f"head.{name}": torch.zeros(2) for name in "ab"}


def prefixed(prefix, net):
    return {f"{prefix}{name}": value for name, value in net.state_dict().items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda good, bad: good.state_dict() | OTHER,
        lambda good, bad: prefixed("module.", good) | OTHER,
        lambda good, bad: prefixed("_orig_mod.backbone.", good) | OTHER,
        lambda good, bad: {"state_dict": prefixed("module.encoder.", good), "epoch": 3, "lr": 0.1},
        lambda good, bad: {"model": good.state_dict(), "args": argparse.Namespace(lr=0.1)},
        lambda good, bad: {
            "student": prefixed("module.backbone.", bad),
            "teacher": prefixed("backbone.", good),
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
        },
        lambda good, bad: {"state_dict": prefixed("module.encoder_k.", bad) | prefixed("module.encoder_q.", good)},
        lambda good, bad: prefixed("target.", bad) | prefixed("online.", good),
    ],
    ids=["plain", "module", "compiled", "state-dict", "model", "dino", "moco", "byol"],
)
def test_weights_are_found_whatever_they_are_wrapped_in(tmp_path, folder, vit, wrap):
    torch.save(wrap(vit, small_vit(seed=7)), folder / "checkpoint.pth")
    assert torch.equal(features(build(path=str(folder / "checkpoint.pth")).encoder), features(vit))


def test_the_layout_of_another_project_is_converted_as_timm_does(tmp_path):
    torch.manual_seed(0)
    name, arguments = "vit_small_patch14_reg4_dinov2", {"img_size": 28, "depth": 1}
    net = timm.create_model(name, num_classes=0, **arguments).eval()
    theirs = {key.replace("reg_token", "register_tokens"): value for key, value in net.state_dict().items()}
    # DINOv2's own position of the class token is the first of pos_embed; timm adds it to the token.
    position = torch.zeros(1, 1, 384)
    theirs["pos_embed"] = torch.cat([position, theirs["pos_embed"]], dim=1)
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name, "model_args": arguments}))
    torch.save(theirs | {"mask_token": torch.zeros(1, 384)}, tmp_path / "model.pth")
    assert torch.allclose(features(build(path=str(tmp_path / "model.pth")).encoder, 28), features(net, 28), atol=1e-6)


def test_another_size_resizes_the_positions_as_timm_does(folder, vit):
    method = build(path=str(folder), size=48)
    expected = timm.create_model(
        ARCHITECTURE,
        pretrained=True,
        num_classes=0,
        pretrained_cfg_overlay={"state_dict": vit.state_dict(), "num_classes": 0},
        **{**ARGUMENTS, "img_size": 48},
    ).eval()
    assert method.input_spec.size == 48
    assert torch.allclose(features(method.encoder, 48), features(expected, 48), atol=1e-6)


def test_the_untrained_network_has_other_weights_and_the_same_shape(folder):
    method = build(path=str(folder))
    torch.manual_seed(5)
    fresh = method.untrained().eval()
    assert {k: v.shape for k, v in fresh.state_dict().items()} == {
        k: v.shape for k, v in method.encoder.state_dict().items()
    }
    assert not torch.equal(features(fresh), features(method.encoder))


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize(
    ("make", "overrides", "words"),
    [
        (lambda f: None, {"path": "{f}/nowhere"}, r"path=.*/nowhere does not exist"),
        (lambda f: (f / "config.json").unlink(), {"path": "{f}"}, r"model has no config\.json; expected a folder that"),
        (lambda f: (f / "model.safetensors").unlink(), {"path": "{f}"}, r"has no weights \(model\.safetensors or"),
        (lambda f: (f / "config.json").write_text("{}"), {"path": "{f}"}, r"config\.json names no architecture"),
        (lambda f: (f / "config.json").write_text("{"), {"path": "{f}"}, r"config\.json cannot be read"),
        (
            lambda f: (f / "config.json").unlink(),
            {"path": "{f}/model.safetensors"},
            r"says nothing of its architecture; give timm's name of it, name=",
        ),
        (
            lambda f: save_file(prefixed("x.", small_vit(depth=1)), f / "model.safetensors"),
            {"path": "{f}"},
            r"18 of the network's 30 tensors are in the file; missing: blocks\.1\.norm1\.weight, .*; the file has",
        ),
        (
            lambda f: save_file(small_vit(embed_dim=96).state_dict(), f / "model.safetensors"),
            {"path": "{f}"},
            r"0 of the network's 30 tensors .*of another shape: cls_token \[1, 1, 96\] instead of \[1, 1, 192\]",
        ),
        (
            lambda f: torch.save({"x": Evil()}, f / "m.pth"),
            {"path": "{f}/m.pth"},
            r"holds more than weights \(builtins\.print\), and",
        ),
        (lambda f: (f / "m.pth").write_bytes(b"no"), {"path": "{f}/m.pth"}, r"m\.pth cannot be read as weights"),
        (lambda f: None, {"name": "vit_tny_patch16_224"}, r"timm .* has no model name = 'vit_tny_patch16_224'"),
        (lambda f: None, {"name": "resnet50.mine"}, r"no weights name = 'resnet50\.mine'; it has: .*a1_in1k"),
        (lambda f: None, {"name": "vit_test", "path": "{f}/model.safetensors"}, r"no model name = 'vit_test'"),
        (lambda f: None, {"path": "{f}", "size": 33}, r"size = 33 is not divisible by the model's patches of 8"),
        (lambda f: None, {"hub": "facebookresearch"}, r"hub = 'facebookresearch' is not OWNER/REPO:ENTRY"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(folder, capfd, make, overrides, words):
    make(folder)
    overrides = {key: value.format(f=folder) if isinstance(value, str) else value for key, value in overrides.items()}
    with pytest.raises(UserError, match=words) as caught:
        build(**overrides)
    assert len(caught.value.messages) == 1
    assert "\n" not in caught.value.messages[0]
    assert "code ran" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({}, "method 'pretrained': no model is named; give name= "),
        ({"name": "resnet18", "hub": "a/b:c"}, "name and hub are given together; give one of name="),
        ({"name": "hf-hub:a/b", "path": "x"}, "name and path are given together"),
        ({"preset": "dinov3"}, "no preset 'dinov3'; did you mean 'dinov3-base'?; allowed: default, din"),
    ],
)
def test_sources_that_exclude_each_other_are_refused_before_anything_runs(overrides, words):
    _, mistakes = resolve(SPEC.label, SPEC.params, overrides, SPEC.presets)
    assert words in mistakes[0]


def test_the_key_changes_with_the_content_of_the_file(folder):
    def pretraining():
        settings = TrainingSettings(device="cpu", precision="fp32")
        method = chosen("method", Reference("pretrained", {"path": str(folder)}), REGISTRY)
        return single(method, chosen("dataset", Reference("digits"), REGISTRY), None, settings, 0)

    before = pretraining()
    assert pretraining().key == before.key
    save_file(small_vit(seed=1).state_dict(), folder / "model.safetensors")
    after = pretraining()
    assert after.key != before.key
    assert after.description == before.description
    assert changed(before.inputs, after.inputs) == "the weights changed"


def test_nothing_is_fetched_without_consent(cache):
    name = "vit_small_patch14_dinov2.lvd142m"
    with pytest.raises(
        UserError, match="--download fetches it from https://huggingface.co/timm/.*; or fetch"
    ) as caught:
        build(name=name)
    assert f"path=FILE,name={name}" in str(caught.value)
    assert cache.requests == []
    assert SPEC.fetches(SPEC.params(name=name)) == f"{name} from https://huggingface.co/timm/{name}"
    assert "tokens" in SPEC.provided(SPEC.params(name=name))


def test_a_hub_that_cannot_be_reached_is_one_line_with_the_way_out(cache):
    with pytest.raises(
        UserError, match="cannot be fetched from .*: the hub cannot be reached; fetch model.safetensors"
    ):
        build(download=True, name="resnet18.a1_in1k")
    assert cache.requests == [("timm/resnet18.a1_in1k", "model.safetensors")]


def test_what_was_fetched_before_is_used_without_a_request(cache):
    torch.manual_seed(0)
    net = timm.create_model("resnet18.a1_in1k", num_classes=1000).eval()
    cache.put("timm/resnet18.a1_in1k", model__safetensors=lambda to: save_file(net.state_dict(), to))
    net.reset_classifier(0)
    assert SPEC.fetches(SPEC.params(name="resnet18.a1_in1k")) == ""
    assert torch.equal(features(build(name="resnet18.a1_in1k").encoder, 64), features(net, 64))
    assert cache.requests == []


def test_a_model_of_anybody_on_the_hub(cache, vit):
    with pytest.raises(UserError, match="someone/theirs is not on this machine; --download fetches it"):
        build(name="hf-hub:someone/theirs")
    assert SPEC.provided(SPEC.params(name="hf-hub:someone/theirs")) == {"encoder"}
    cache.put(
        "someone/theirs",
        config__json=lambda to: to.write_text(json.dumps(CONFIG)),
        model__safetensors=lambda to: save_file(vit.state_dict(), to),
    )
    assert torch.equal(features(build(name="hf-hub:someone/theirs").encoder), features(vit))
    assert "tokens" in SPEC.provided(SPEC.params(name="hf-hub:someone/theirs"))


HUBCONF = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.body = nn.Linear(3, 6)
        self.fc = nn.Linear(6, out)

    def forward(self, x):
        return self.fc(self.body(x.mean(dim=(2, 3))))


def small(pretrained=True):
    torch.manual_seed(3 if pretrained else 4)
    return Net(1000)


def fixed():
    return Net(10)


class Dictionary(nn.Module):
    def forward(self, x):
        return {"features": x}


def dictionary():
    return Dictionary()


def fetching():
    return torch.hub.load_state_dict_from_url("https://example.org/weights.pth")
"""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/hubconf.py").write_text(HUBCONF)
    return tmp_path / "repo"


def test_features_of_a_model_of_torch_hub_are_those_before_its_classifier(hub):
    method = build(hub=f"{hub}:small", size=16)
    torch.manual_seed(3)
    body = nn.Linear(3, 6)
    images = torch.randn(2, 3, 16, 16)
    assert torch.allclose(method.encoder(images), body(images.mean(dim=(2, 3))))
    assert (method.encoder.feature_dim, method.input_spec.size, method.input_spec.crop) == (6, 16, 0.875)
    assert build(hub=f"{hub}:small").input_spec.mean == (0.485, 0.456, 0.406)
    assert not torch.equal(method.untrained()(images), method.encoder(images))


def test_the_fingerprint_of_a_local_repository_changes_with_its_code(hub):
    params = SPEC.params(hub=f"{hub}:small")
    before = SPEC.fingerprint(params)
    (hub / "hubconf.py").write_text(HUBCONF + "# another line\n")
    assert before != SPEC.fingerprint(params) != ""


def test_a_repository_that_torch_hub_fetched_before_is_used(hub, tmp_path):
    (tmp_path / "hub").mkdir()
    hub.rename(tmp_path / "hub/owner_repo_main")
    assert build(hub="owner/repo:small", size=16).encoder.feature_dim == 6
    assert SPEC.fetches(SPEC.params(hub="owner/repo:small")) == ""


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("dictionary", r"repo:dictionary returns a dict, not features \[B, D\]"),
        ("fetching", r"wants to fetch https://example.org/weights.pth; --download allows it"),
        ("nothing", r"repo:nothing cannot be built: Cannot find callable nothing"),
    ],
)
def test_what_torch_hub_cannot_give_is_one_line(hub, entry, words):
    with pytest.raises(UserError, match=words):
        build(hub=f"{hub}:{entry}", size=16)


def test_a_repository_that_is_not_here_is_not_fetched_without_consent(hub, monkeypatch):
    monkeypatch.setattr(torch.hub, "load", lambda *a, **k: pytest.fail("torch.hub was called"))
    with pytest.raises(UserError, match="owner/repo is not on this machine; --download fetches it from https://github"):
        build(hub="owner/repo:small")
    assert SPEC.fetches(SPEC.params(hub="owner/repo:small")) == "owner/repo:small from github.com"


def test_an_entry_that_is_always_trained_has_no_untrained_network(hub):
    with pytest.raises(UserError, match="takes no pretrained=False: it cannot be built untrained"):
        build(hub=f"{hub}:fixed", size=16).untrained()
