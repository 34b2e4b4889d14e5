"""Features by another pooling than the model's own, and of several blocks side by side."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from sslbench import BuildContext, TokenBackbone, UserError
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry

SPEC = Registry().get("method", "pretrained")
SMALL = {"depth": 3, "embed_dim": 32, "num_heads": 2, "img_size": 32}
MODELS = {
    "class-token": ("vit_tiny_patch16_224", {}),
    "rotary": ("vit_small_patch16_dinov3", {}),
    "norm-behind": ("vit_tiny_patch16_224", {"global_pool": "avg"}),
    "norm-behind-rotary": ("eva02_tiny_patch14_224", {"patch_size": 16}),
    "attention-pool": ("vit_base_patch16_siglip_224", {}),
    "no-class-token": ("vit_base_patch16_siglip_gap_224", {}),
    "convolutions": ("resnet10t", None),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """name -> folder and network, drawn and not trained."""
    found = {}
    for name, (architecture, more) in MODELS.items():
        torch.manual_seed(0)
        arguments = {} if more is None else {**SMALL, **more}
        net = timm.create_model(architecture, num_classes=0, **arguments).eval()
        with torch.no_grad():
            for weights in net.parameters():
                weights.add_(0.1 * torch.randn_like(weights))
        folder = tmp_path_factory.mktemp(name)
        save_file(net.state_dict(), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"architecture": architecture, "model_args": arguments}))
        found[name] = folder, net
    return found


def build(folder, **given):
    params, mistakes = resolve(SPEC.label, SPEC.params, {"path": str(folder), "mean": [0.5] * 3, **given}, SPEC.presets)
    assert mistakes == []
    return SPEC.build(params, BuildContext())


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("name", ["class-token", "rotary", "norm-behind"])
@pytest.mark.parametrize("pool", ["own", "class", "mean"])
def test_features_of_the_last_blocks_are_their_class_tokens_or_means_after_the_norm_side_by_side(models, name, pool):
    folder, net = models[name]
    encoder = build(folder, pool=pool, blocks=2).encoder.eval()
    layers = net.forward_intermediates(
        IMAGES, indices=[1, 2], output_fmt="NLC", norm=True, return_prefix_tokens=True, intermediates_only=True
    )
    taken = pool if pool != "own" else {"class-token": "class"}.get(name, "mean")
    parts = [prefix[:, 0] if taken == "class" else patches.mean(dim=1) for patches, prefix in layers]
    expected = torch.cat([net.fc_norm(part) for part in parts], dim=1)
    assert isinstance(net.fc_norm, nn.LayerNorm) == (name == "norm-behind")
    assert encoder.feature_dim == 64
    assert torch.allclose(encoder(IMAGES), expected, atol=1e-5)


@torch.no_grad()
def test_tokens_and_attention_are_as_without(models):
    folder, _ = models["rotary"]
    plain, pooled = build(folder).encoder.eval(), build(folder, pool="class", blocks=3).encoder.eval()
    assert isinstance(pooled, TokenBackbone)
    tokens = plain.embed(IMAGES)
    assert torch.equal(pooled.embed(IMAGES), tokens)
    assert torch.equal(pooled.encode(tokens), plain.encode(tokens))
    assert torch.equal(pooled.attention(IMAGES), plain.attention(IMAGES))
    assert torch.equal(pooled.positions((3, 3)), plain.positions((3, 3)))
    assert torch.equal(pooled(IMAGES), pooled.pool(pooled.encode(tokens, blocks=3)))


@torch.no_grad()
def test_an_attention_pool_can_be_replaced_by_the_mean(models):
    folder, net = models["attention-pool"]
    expected = net.forward_features(IMAGES).mean(dim=1)
    assert torch.allclose(build(folder, pool="mean").encoder.eval()(IMAGES), expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("pool", ["class", "mean"])
@pytest.mark.parametrize("name", ["class-token", "rotary", "norm-behind", "norm-behind-rotary", "attention-pool"])
def test_what_is_exported_is_pooled_so_by_plain_timm_and_here(models, tmp_path, name, pool):
    pool = "mean" if name == "attention-pool" else pool
    encoder = build(models[name][0], pool=pool).encoder.eval()
    model = encoder.as_timm()
    net = timm.create_model(model.architecture, num_classes=0, **model.arguments).eval()
    net.load_state_dict(dict(model.weights))
    assert torch.allclose(net(IMAGES), encoder(IMAGES), atol=1e-5)
    save_file(dict(model.weights), tmp_path / "model.safetensors")
    config = {"architecture": model.architecture, "model_args": dict(model.arguments)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert torch.allclose(build(tmp_path).encoder.eval()(IMAGES), encoder(IMAGES), atol=1e-5)


def test_plain_timm_has_no_features_of_several_blocks(models):
    assert build(models["class-token"][0], blocks=2).encoder.as_timm() is None


def test_what_trains_from_scratch_has_the_same_features(models):
    method = build(models["class-token"][0], blocks=2)
    fresh = method.untrained()
    assert fresh(IMAGES).shape == method.encoder(IMAGES).shape == (2, 64)
    assert not torch.equal(fresh(IMAGES), method.encoder(IMAGES))
    assert method.encoder.loaded_weights.tensors > 0


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("convolutions", {"pool": "mean"}, "pool = mean needs a model with tokens; .* gives features alone"),
        ("convolutions", {"blocks": 2}, "blocks = 2 needs a model with tokens; .* gives features alone"),
        ("class-token", {"blocks": 4}, "blocks = 4; allowed: 1 to 3, the blocks of "),
        ("no-class-token", {"pool": "class"}, "pool = class: .* has no class token; allowed: own, mean"),
        (
            "attention-pool",
            {"blocks": 2},
            "blocks = 2: .* has an attention pool for its last block alone; give pool=mean",
        ),
    ],
)
def test_a_pooling_that_a_model_does_not_have_is_refused(models, name, given, words):
    with pytest.raises(UserError, match=f"method 'pretrained': {words}"):
        build(models[name][0], **given)


def test_a_model_of_torch_hub_has_its_own_features_alone():
    _, mistakes = resolve(SPEC.label, SPEC.params, {"hub": "a/b:c", "blocks": 4}, SPEC.presets)
    assert "pool and blocks need a model with tokens; one of torch.hub gives features alone" in mistakes[0]
