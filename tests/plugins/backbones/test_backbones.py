from __future__ import annotations

import re

import pytest
import timm
import torch
from safetensors.torch import save_file

from sslbench import BuildContext, TokenBackbone, UserError
from sslbench.hooks.registry import Registry

REGISTRY = Registry()


def build(plugin, image_size, **overrides):
    spec = REGISTRY.get("backbone", plugin)
    torch.manual_seed(0)
    return spec.build(spec.params(**overrides), BuildContext(image_size=image_size)).eval()


@pytest.mark.parametrize("size", [8, 28, 32, 64])
@pytest.mark.parametrize("name", ["convnet-small", "resnet18-cifar"])
def test_convolutional_backbones_take_any_size(name, size):
    backbone = build(name, size)
    assert backbone(torch.randn(2, 3, size, size)).shape == (2, backbone.feature_dim)


@pytest.mark.parametrize(("size", "side"), [(8, 8), (16, 16), (32, 16), (33, 11), (64, 16), (224, 16)])
def test_the_small_network_brings_large_images_down_in_its_stem(size, side):
    assert build("convnet-small", size).stem(torch.randn(1, 3, size, size)).shape == (1, 32, side, side)


def test_the_cifar_stem_keeps_the_resolution():
    net = build("resnet18-cifar", 32).net
    assert net.maxpool(net.conv1(torch.randn(1, 3, 32, 32))).shape == (1, 64, 32, 32)
    assert sum(p.numel() for p in net.parameters()) == 11_168_832


@pytest.mark.parametrize(("size", "grid"), [(8, 8), (32, 8), (64, 8), (28, 14), (30, 10)])
def test_patches_are_an_eighth_of_the_image_or_what_divides_it_below_that(size, grid):
    backbone = build("vit-tiny-small-image", size, depth=1)
    assert backbone.grid == (grid, grid)
    assert backbone(torch.randn(2, 3, size, size)).shape == (2, 192)


def test_vit_tiny_is_vit_tiny():
    # Touvron et al. 2021 count 5.7M with the classifier and 16 px patches; blocks and norm alone:
    backbone = build("vit-tiny-small-image", 32)
    assert sum(p.numel() for p in backbone.blocks.parameters()) == 12 * 444_864
    assert build("vit-tiny-small-image", 32, depth=1, pool="class")(torch.randn(1, 3, 32, 32)).shape == (
        1,
        192,
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"patch_size": 5}, r"image size 32 is not divisible by patch_size = 5"),
        ({"dim": 16, "heads": 3}, r"dim = 16 is not divisible by heads = 3"),
    ],
)
def test_sizes_that_do_not_fit_are_named(overrides, words):
    with pytest.raises(UserError, match="backbone 'vit-tiny-small-image': " + words):
        build("vit-tiny-small-image", 32, **overrides)


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_a_timm_transformer_gives_timms_features_from_its_tokens(model):
    spec = REGISTRY.get("backbone", "timm")
    assert spec.provided(spec.params(name=model)) == {"tokens", "attention"}
    backbone = build("timm", 56 if "patch14" in model else 32, name=model)
    assert isinstance(backbone, TokenBackbone)
    patches = backbone.grid[0] * backbone.grid[1]
    images = torch.randn(2, 3, 56, 56) if "patch14" in model else torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(backbone(images), backbone.net(images), atol=1e-5)
        encoded = backbone.encode(backbone.embed(images)[:, : patches - 1])
    assert encoded.shape == (2, backbone.prefix_tokens + patches - 1, backbone.token_dim)


@pytest.mark.parametrize("model", ["resnet10t", "deit_tiny_distilled_patch16_224", "mixer_s16_224"])
def test_a_timm_model_whose_tokens_are_not_plain_gives_none(model):
    spec = REGISTRY.get("backbone", "timm")
    assert spec.provided(spec.params(name=model)) == frozenset()


def test_a_timm_network_without_tokens_gives_features_only():
    backbone = build("timm", 64, name="resnet10t")
    assert backbone(torch.randn(2, 3, 64, 64)).shape == (2, backbone.feature_dim)


def test_an_unknown_timm_name_gets_names_near_it():
    with pytest.raises(
        UserError, match=r"backbone 'timm': timm \S+ has no model name = 'resnet_18'; near it: resnet18"
    ):
        build("timm", 32, name="resnet_18")


def published(name, **arguments):
    torch.manual_seed(3)
    return timm.create_model(name, num_classes=1000, **arguments).eval()


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"])
def test_published_weights_are_those_of_the_cache_and_fit_another_size(cache, name):
    spec, size = REGISTRY.get("backbone", "timm"), 64
    theirs = published(name)
    cache.put(f"timm/{name}", model__safetensors=lambda to: save_file(theirs.state_dict(), to))
    assert spec.fetches(spec.params(name=name, pretrained=True)) == ""
    ours = build("timm", size, name=name, pretrained=True)
    if name.startswith("vit"):
        # Positions are of 14 x 14 patches, and timm's own way to make 4 x 4 of them is what is expected.
        state = timm.models.vision_transformer.checkpoint_filter_fn(theirs.state_dict(), ours.net)
        theirs = published(name, img_size=size)
        theirs.load_state_dict({key: state[key] for key in theirs.state_dict() if key in state}, strict=False)
        theirs.head = torch.nn.Identity()
    else:
        theirs.reset_classifier(0)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)
    assert cache.requests == []


def test_published_weights_are_fetched_with_consent_only(cache):
    spec, name = REGISTRY.get("backbone", "timm"), "resnet18.a1_in1k"
    params = spec.params(name=name, pretrained=True)
    words = f"timm/{name} is not on this machine; --download fetches it from https://huggingface.co/timm/{name}; or"
    with pytest.raises(UserError, match=re.escape(words)):
        spec.build(params, BuildContext(image_size=64))
    assert (cache.requests, spec.fetches(spec.params(name=name))) == ([], "")
    assert spec.fetches(params) == f"{name} from https://huggingface.co/timm/{name}"
    with pytest.raises(UserError, match="the hub cannot be reached; fetch it elsewhere and copy the cache"):
        spec.build(params, BuildContext(image_size=64, download=True))
    assert cache.requests == [(f"timm/{name}", "model.safetensors")]


def test_a_timm_network_without_published_weights_says_so():
    with pytest.raises(
        UserError, match=r"backbone 'timm': timm has no weights name = 'resnet10t.x'; it has: resnet10t"
    ):
        build("timm", 64, name="resnet10t.x")
    with pytest.raises(UserError, match="backbone 'timm': timm publishes no weights name = 'convnextv2_small'"):
        build("timm", 64, name="convnextv2_small", pretrained=True)


@pytest.mark.parametrize(("depth", "features", "parameters"), [(18, 512, 11_176_512), (50, 2048, 23_508_032)])
def test_resnets_are_torchvisions(depth, features, parameters):
    backbone = build("resnet", 64, depth=depth)
    assert backbone.feature_dim == features
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    assert backbone(torch.randn(2, 3, 64, 64)).shape == (2, features)


def test_the_small_stem_keeps_the_resolution_at_any_depth():
    net = build("resnet", 32, depth=18, stem="cifar").net
    assert net.maxpool(net.conv1(torch.randn(1, 3, 32, 32))).shape == (1, 64, 32, 32)
    assert sum(p.numel() for p in net.parameters()) == 11_168_832


def test_a_depth_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match="backbone 'resnet': depth = 20; allowed: 18, 34, 50"):
        build("resnet", 32, depth=20)


@pytest.mark.parametrize(
    ("size", "overrides", "grid", "features", "parameters"),
    [
        (224, {"size": "small"}, 14, 384, 21_665_664),
        (32, {"size": "tiny", "patch_size": 4}, 8, 192, None),
        (48, {"size": "tiny", "positions": "learned", "pool": "mean"}, 3, 192, None),
    ],
)
def test_transformers_give_tokens_at_any_image_and_patch_size(size, overrides, grid, features, parameters):
    backbone = build("vit", size, **overrides)
    assert (backbone.grid, backbone.feature_dim) == ((grid, grid), features)
    images = torch.randn(2, 3, size, size)
    tokens = backbone.encode(backbone.embed(images))
    assert tokens.shape == (2, grid * grid + 1, features)
    pooled = tokens[:, 1:].mean(1) if overrides.get("pool") == "mean" else tokens[:, 0]
    assert torch.allclose(backbone(images), pooled, atol=1e-5)
    if parameters is not None:
        assert sum(p.numel() for p in backbone.parameters()) == parameters


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"patch_size": 5}, "image size 32 is not divisible by patch_size = 5"),
        ({"heads": 5}, "the width of base, 768, is not divisible by heads = 5"),
    ],
)
def test_a_transformer_that_cannot_be_built_is_refused(overrides, words):
    with pytest.raises(UserError, match=words):
        build("vit", 32, **overrides)


@pytest.mark.parametrize(
    ("plugin", "overrides"), [("vit", {"size": "tiny", "patch_size": 8}), ("vit-tiny-small-image", {})]
)
def test_smaller_crops_get_resized_positions(plugin, overrides):
    backbone = build(plugin, 64, **overrides)
    assert backbone(torch.randn(2, 3, 24, 24)).shape == (2, 192)
    black = torch.zeros(1, 3, 24, 24)
    positions = backbone.embed(black) - backbone.embed(torch.zeros(1, 3, 64, 64))[:, :1]
    assert positions.shape == (1, 9, 192)
    assert not torch.allclose(positions[0, 0], positions[0, 8])


@pytest.mark.parametrize(
    ("plugin", "overrides"), [("vit", {"size": "tiny", "patch_size": 8}), ("vit-tiny-small-image", {"depth": 3})]
)
def test_the_last_blocks_stand_side_by_side_each_after_the_norm(plugin, overrides):
    backbone = build(plugin, 32, **overrides).eval()
    layers, norm = (backbone.net.blocks, backbone.net.norm) if plugin == "vit" else (backbone.blocks, backbone.norm)
    outputs = []
    for layer in layers:
        layer.register_forward_hook(lambda module, args, out: outputs.append(norm(out)))
    tokens = backbone.embed(torch.randn(2, 3, 32, 32))
    encoded = backbone.encode(tokens, blocks=3)
    assert torch.equal(encoded, torch.cat(outputs[-3:], dim=-1))
    assert torch.equal(backbone.encode(tokens), encoded[..., -192:])
    with pytest.raises(ValueError, match=rf"blocks = {len(layers) + 1}; allowed: 1 to {len(layers)}"):
        backbone.encode(tokens, blocks=len(layers) + 1)


@pytest.mark.parametrize(
    ("plugin", "overrides"),
    [("vit", {"size": "tiny", "patch_size": 8, "positions": "learned"}), ("vit-tiny-small-image", {})],
)
def test_positions_are_what_is_added_to_the_patches(plugin, overrides):
    backbone = build(plugin, 32, **overrides)
    black, colours = torch.zeros(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    positions = backbone.positions(backbone.grid)
    bias = backbone.embed(black)[0] - positions
    assert torch.allclose(bias, bias[:1].expand_as(bias), atol=1e-5)
    assert positions.shape == (backbone.grid[0] ** 2, 192)
    assert not torch.allclose(backbone.embed(colours)[0], positions)


TRANSFORMERS = [
    ("vit-tiny-small-image", {"dim": 24, "depth": 3, "heads": 2}),
    ("vit", {"size": "tiny", "patch_size": 8}),
    ("timm", {"name": "vit_tiny_patch16_224"}),
    ("timm", {"name": "vit_small_patch14_reg4_dinov2"}),
]


@pytest.mark.parametrize(("plugin", "overrides"), TRANSFORMERS)
def test_stochastic_depth_leaves_branches_out_while_training_only(plugin, overrides):
    size = 56 if "patch14" in str(overrides) else 32
    backbone = build(plugin, size, **overrides)
    images = torch.randn(2, 3, size, size)
    names = list(backbone.state_dict())
    with torch.no_grad():
        before = backbone(images)
        backbone.stochastic_depth(0.5)
        assert torch.equal(backbone(images), before)
        assert list(backbone.state_dict()) == names
        backbone.train()
        assert not torch.equal(backbone(images), backbone(images))
        backbone.stochastic_depth(0.0)
        assert torch.equal(backbone(images), before)


def test_an_image_that_timms_patches_do_not_divide_is_refused():
    words = "backbone 'timm': image size 40 is not divisible by the patches of vit_tiny_patch16_224, 16 px"
    with pytest.raises(UserError, match=words):
        build("timm", 40, name="vit_tiny_patch16_224")


def test_weights_are_xaviers_with_fixed_positions_and_small_with_learned_ones():
    fixed, learned = (build("vit", 32, size="tiny", patch_size=8, positions=kind) for kind in ("sincos", "learned"))
    for net, wanted in ((fixed.net, (6 / (192 + 768)) ** 0.5 / 3**0.5), (learned.net, 0.02)):
        assert net.blocks[0].mlp.fc1.weight.std().item() == pytest.approx(wanted, rel=0.03)
    patches = fixed.net.patch_embed.proj.weight
    assert patches.abs().max().item() == pytest.approx((6 / (3 * 64 + 192)) ** 0.5, rel=0.01)
    assert fixed.net.cls_token.std().item() == pytest.approx(0.02, rel=0.2)
    assert not fixed.net.pos_embed.requires_grad
    assert learned.net.pos_embed.requires_grad


def test_moco_v3_draws_queries_keys_and_values_as_three_matrices():
    """The authors' `vits.py`: uniform up to the root of 6 / (fan in + a third of the fan out)."""
    net = build("vit", 32, size="tiny", patch_size=8, init="moco-v3").net
    for part in net.blocks[3].attn.qkv.weight.chunk(3):
        assert part.abs().max().item() == pytest.approx((6 / (192 + 192)) ** 0.5, rel=0.01)
    assert net.cls_token.abs().max().item() < 1e-5
    as_one = build("vit", 32, size="tiny", patch_size=8).net.blocks[3].attn.qkv.weight
    assert as_one.abs().max().item() == pytest.approx((6 / (192 + 576)) ** 0.5, rel=0.01)
