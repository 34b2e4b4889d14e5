"""Presets of published models: each is what timm's configuration and the page say, without a download."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub.errors import GatedRepoError
from safetensors.torch import save_file

from sslbench import BuildContext, UserError
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry
from sslbench_plugins.blocks.networks.model_files import repository_of
from sslbench_plugins.methods.pretrained.configured import timm_model
from sslbench_plugins.methods.pretrained.presets import ALSO_CALLED, PRESETS

SPEC = Registry().get("method", "pretrained")
PAGE = Path(__file__).parents[3] / "docs/pretrained.md"
ROW = re.compile(r"^\| (`[\w-]+`(?:, `[\w-]+`)*) \| `([\w.]+)` \| (.*) \|$", re.MULTILINE)


def params_of(preset):
    params, mistakes = resolve(SPEC.label, SPEC.params, {"preset": preset}, SPEC.presets)
    assert mistakes == []
    return params


def rows():
    """Names of a preset -> timm's name, and the other columns."""
    found = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {tuple(re.findall(r"[\w-]+", names)): (name, rest.split(" | ")) for names, name, rest in found}


def test_the_page_has_a_row_for_every_preset_and_its_other_names():
    names = [name for row in rows() for name in row]
    assert sorted(names) == sorted(PRESETS)
    assert {other: row[0] for row in rows() for other in row[1:]} == ALSO_CALLED


@pytest.mark.parametrize("names", rows(), ids=lambda names: names[0])
def test_a_row_of_the_page_is_what_timm_says_of_the_model(names):
    name, (side, features, millions, licence, gives) = rows()[names]
    params, config = params_of(names[0]), timm.models.get_pretrained_cfg(name)
    assert params.name == name
    assert int(side) == (params.size or config.input_size[-1])
    with torch.device("meta"):
        net, _ = timm_model(name, {"img_size": int(side)})
    assert int(features.replace(",", "")) == net.num_features
    assert int(millions) == round(sum(weights.numel() for weights in net.parameters()) / 1e6)
    assert licence.lower() == SPEC.licence(params).name == config.license
    assert gives == (", ".join(sorted(SPEC.provided(params) - {"encoder"}, reverse=True)) or "features")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_published_where_its_name_says(name):
    source = repository_of(params_of(name).name)
    if name == "ijepa-huge":
        assert source.address == "https://dl.fbaipublicfiles.com/ijepa/IN1K-vit.h.14-300e.pth.tar"
    else:
        assert source.name.startswith("timm/")
        assert source.gated == name.startswith("dinov3")


def build(download=False, **given):
    params, mistakes = resolve(SPEC.label, SPEC.params, given, SPEC.presets)
    assert mistakes == []
    return SPEC.build(params, BuildContext(download=download))


def test_what_is_gated_says_so_before_anything_is_fetched(cache):
    words = r"--download fetches it from https://\S+ \(gated: accept its licence there and set HF_TOKEN\); or fetch"
    with pytest.raises(UserError, match=words):
        build(preset="dinov3-small")
    assert "(gated: accept its licence there" in SPEC.fetches(params_of("dinov3-small"))
    assert cache.requests == []


@pytest.mark.parametrize("name", ["vit_small_patch16_dinov3.lvd1689m", "resnet18.a1_in1k"])
def test_a_hub_that_asks_for_consent_is_one_line_with_what_to_do(cache, monkeypatch, name):
    class Response:
        headers, request, status_code = {}, None, 403

    def refuse(*args, **options):
        raise GatedRepoError("403 Client Error", response=Response())

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(UserError, match="hands it out to those alone who accepted its licence") as caught:
        build(name=name, download=True)
    assert str(caught.value).count("accept its licence there and set HF_TOKEN") == 1
    assert f"path=FILE,name={name}" in str(caught.value)


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """torch.hub's cache of files, empty, and no network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))

    def unreachable(address, *args, **options):
        raise OSError(f"no route to {address}")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    return tmp_path / "checkpoints"


def test_weights_at_an_address_of_their_own_are_fetched_with_consent_only(checkpoints):
    address = "https://dl.fbaipublicfiles.com/ijepa/IN1K-vit.h.14-300e.pth.tar"
    assert SPEC.fetches(params_of("ijepa-huge")) == f"vit_huge_patch14_gap_224.in1k_ijepa from {address}"
    with pytest.raises(UserError, match=rf"is not on this machine; --download fetches it from {address}; or fetch it"):
        build(preset="ijepa-huge")
    with pytest.raises(UserError, match=rf"cannot be fetched from {address}: no route to .*; fetch it elsewhere"):
        build(preset="ijepa-huge", download=True)
    assert not list(checkpoints.glob("*"))


def test_weights_at_an_address_of_their_own_are_used_once_they_are_here(checkpoints, monkeypatch):
    """A small network in I-JEPA's place: two encoders in one file, of which the moving average is taken."""
    name, arguments = "vit_huge_patch14_gap_224.in1k_ijepa", {"depth": 1, "embed_dim": 32, "num_heads": 2}
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *args, **given: create(*args, **{**given, **arguments}))
    nets = [timm.create_model(name, num_classes=0).eval() for _ in range(2)]
    checkpoints.mkdir()
    copies = ({f"module.{key}": value for key, value in net.state_dict().items()} for net in nets)
    content = dict(zip(("encoder", "target_encoder"), copies, strict=True)) | {"epoch": 300, "lr": 1e-3}
    torch.save(content, checkpoints / "IN1K-vit.h.14-300e.pth.tar")
    assert SPEC.fetches(params_of("ijepa-huge")) == ""
    images = torch.randn(1, 3, 224, 224)
    for given, expected in (({"preset": "ijepa-huge"}, nets[1]), ({"name": name}, nets[0])):
        method = build(**given)
        with torch.no_grad():
            assert torch.allclose(method.encoder.eval()(images), expected(images), atol=1e-5)
    assert method.encoder.loaded_weights.licence == "cc-by-nc-4.0"


def test_weights_of_a_gated_model_that_are_here_are_used_without_a_word(cache):
    name = "convnext_tiny.dinov3_lvd1689m"
    net = timm.create_model(name, num_classes=0)
    cache.put(f"timm/{name}", model__safetensors=lambda to: save_file(net.state_dict(), to))
    assert SPEC.fetches(params_of("dinov3-convnext-tiny")) == ""
    assert build(preset="dinov3-convnext-tiny").encoder.loaded_weights.licence == "dinov3-license"
