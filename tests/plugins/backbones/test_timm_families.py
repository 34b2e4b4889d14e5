"""Tokens of timm's families of transformers: rotary positions, attention pools, norms before and behind the pool."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from sslbench.testing.pretended_gpu import PretendedGpu, without_numbers
from sslbench_plugins.blocks.networks.timm_attention import gives_attention
from sslbench_plugins.blocks.networks.timm_tokens import TimmTokenBackbone, as_backbone

SMALL = {"depth": 3, "embed_dim": 96, "num_heads": 4}
SIDE = 4
"""patches on a side"""
FAMILIES = {
    "dinov3": "vit_small_patch16_dinov3",
    "dinov3-biases": "vit_small_patch16_dinov3_qkvb",
    "eva": "eva_giant_patch14_224",
    "eva02": "eva02_tiny_patch14_224",
    "eva02-clip": "eva02_base_patch16_clip_224",
    "eva-norms-behind": "eva02_enormous_patch14_clip_224",
    "perception-encoder": "vit_pe_core_tiny_patch16_384",
    "perception-encoder-spatial": "vit_pe_spatial_tiny_patch16_512",
    "rotary-learned": "vit_small_patch16_rope_mixed_224",
    "rotary-learned-and-absolute": "vit_small_patch16_rope_mixed_ape_224",
    "rotary-axial": "vit_small_patch16_rope_224",
    "siglip": "vit_base_patch16_siglip_224",
    "siglip-mean": "vit_base_patch16_siglip_gap_224",
    "aimv2": "aimv2_large_patch14_224",
    "ijepa": "vit_huge_patch14_gap_224",
    "tipsv2": "vit_base_patch14_reg1_tipsv2",
    "tinyclip": "vit_xsmall_patch16_clip_224",
}
WITHOUT_CLASS_TOKEN = ["siglip-mean", "aimv2", "ijepa"]
ROTARY = [name for name in FAMILIES if name.startswith(("dinov3", "eva02", "perception", "rotary"))]


def small(family, seed=0, **arguments):
    """A small network of the family, its weights drawn, and the side of its patches."""
    name = FAMILIES[family]
    with torch.device("meta"):
        patch = timm.create_model(name, depth=1).patch_embed.patch_size[0]
    torch.manual_seed(seed)
    given = {"img_size": SIDE * patch, **SMALL, **arguments}
    net = timm.create_model(name, num_classes=0, **given).eval()
    with torch.no_grad():
        for weights in net.parameters():  # biases and scales of a new network are all 0, 1 or nearly 0
            weights.add_(0.2 * torch.randn_like(weights))
    return net, patch, given


def backbone_of(net, family="", given=()):
    backbone = as_backbone(net, FAMILIES.get(family, ""), dict(given))
    assert isinstance(backbone, TimmTokenBackbone)
    return backbone


@torch.no_grad()
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_and_features_are_timms(family, dynamic):
    net, patch, _ = small(family, dynamic_img_size=dynamic)
    images = torch.randn(2, 3, SIDE * patch, SIDE * patch)
    tokens, features = net.forward_features(images), net(images)
    backbone = backbone_of(net)
    assert torch.allclose(backbone.encode(backbone.embed(images)), tokens, atol=1e-5)
    assert torch.allclose(backbone(images), features, atol=1e-5)
    assert features.shape == (2, backbone.feature_dim)
    last, parts = tokens, backbone.encode(backbone.embed(images), blocks=3).chunk(3, dim=-1)
    assert torch.allclose(parts[-1], last, atol=1e-5)
    norm = not isinstance(net.norm, nn.Identity)
    before = net.forward_intermediates(images, indices=[0], output_fmt="NLC", norm=norm, intermediates_only=True)
    assert torch.allclose(parts[0][:, backbone.prefix_tokens :], before[0], atol=1e-5)


def kept_by_timm(net, count, batch):
    """int64 ``[batch, n]``: the patches that timm's dropout keeps, from the state of torch's generator on."""
    dropout = timm.layers.patch_dropout.PatchDropoutWithIndices(0.5, num_prefix_tokens=0)
    state = torch.get_rng_state()
    _, kept = dropout.train()(torch.zeros(batch, count, 1))
    torch.set_rng_state(state)
    return kept


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_a_part_of_the_patches_is_encoded_as_timms_patch_dropout_leaves_it(family):
    net, patch, _ = small(family, patch_drop_rate=0.5)
    images = torch.randn(2, 3, SIDE * patch, SIDE * patch)
    backbone = backbone_of(net)
    tokens = backbone.embed(images)
    kept = kept_by_timm(net, SIDE * SIDE, 2)
    assert kept.shape == (2, 8)
    expected = net.train().forward_features(images)
    part = tokens.gather(1, kept[:, :, None].expand(-1, -1, tokens.shape[2]))
    assert torch.allclose(backbone.encode(part, patches=kept), expected, atol=1e-5)
    if family in ROTARY:
        elsewhere = (kept + 1) % (SIDE * SIDE)
        assert not torch.allclose(backbone.encode(part, patches=elsewhere), expected, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("family", ROTARY)
@pytest.mark.parametrize("side", [3, 6])
def test_rotary_positions_of_another_size_are_those_of_timms_dynamic_network(family, side):
    net, patch, given = small(family)
    if net.pos_embed is not None:  # absolute ones are resized as DINO does, without antialiasing
        net.pos_embed.zero_()
    dynamic = timm.create_model(FAMILIES[family], num_classes=0, **given, dynamic_img_size=True).eval()
    dynamic.load_state_dict(net.state_dict())
    images = torch.randn(2, 3, side * patch, side * patch)
    assert torch.allclose(backbone_of(net)(images), dynamic(images), atol=1e-5)


@pytest.fixture
def products(monkeypatch):
    """Queries and keys of every call of torch's attention."""
    calls = []
    attend = functional.scaled_dot_product_attention

    def spy(queries, keys, values, **options):
        calls.append((queries, keys))
        return attend(queries, keys, values, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    return calls


@torch.no_grad()
@pytest.mark.parametrize("side", [SIDE, 3])
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in WITHOUT_CLASS_TOKEN])
def test_attention_is_the_softmax_of_the_last_products_of_what_is_pooled(family, side, products):
    """Of the class token in the last block; or of the query of the attention pool, whose products are the last."""
    net, patch, _ = small(family)
    backbone = backbone_of(net)
    assert gives_attention(net)
    images = torch.randn(2, 3, side * patch, side * patch)
    backbone(images)
    queries, keys = products[-1]
    attention = backbone.attention(images)
    scores = torch.einsum("bhd,bhkd->bhk", queries[:, :, 0].double(), keys.double()) / queries.shape[-1] ** 0.5
    weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
    assert attention.shape == (2, queries.shape[1], side * side)
    assert attention.dtype == torch.float32
    assert torch.allclose(attention, weights[:, :, backbone.prefix_tokens :].float(), atol=1e-5)
    assert attention.std() > 1e-3


@pytest.mark.parametrize("family", WITHOUT_CLASS_TOKEN)
def test_a_network_with_neither_class_token_nor_query_gives_no_attention(family):
    assert not gives_attention(small(family)[0])


@torch.no_grad()
@pytest.mark.parametrize("family", ["dinov3", "eva02-clip", "siglip"])
def test_under_autocast_tokens_are_as_precise_as_timms(family):
    net, patch, _ = small(family)
    images = torch.randn(2, 3, SIDE * patch, SIDE * patch)
    backbone = backbone_of(net)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = backbone.encode(backbone.embed(images)), net.forward_features(images)
        attention = backbone.attention(images)
    assert ours.dtype == theirs.dtype == torch.float32
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert attention.dtype == torch.float32
    assert torch.allclose(attention, backbone.attention(images), atol=0.05)


def test_positions_are_what_embed_adds():
    rotary, patch, _ = small("dinov3")
    backbone = backbone_of(rotary)
    assert not backbone.positions((2, 3)).any()
    assert backbone.positions((2, 3)).shape == (6, 96)
    absolute, patch, _ = small("eva02")
    backbone = backbone_of(absolute)
    images = torch.randn(1, 3, SIDE * patch, SIDE * patch)
    with torch.no_grad():
        added = backbone.embed(images) - absolute.patch_embed(images)
    assert torch.allclose(added[0], backbone.positions((SIDE, SIDE)), atol=1e-5)


@pytest.mark.parametrize("family", ["dinov3", "eva02", "rotary-learned"])
@pytest.mark.pretended
def test_a_gpu_waits_for_positions_once_for_each_grid(family):
    net, patch, _ = small(family)
    backbone = backbone_of(net)
    images = torch.randn(2, 3, SIDE * patch, SIDE * patch)
    with PretendedGpu() as gpu:
        gpu.take(backbone)
        whole, crop = without_numbers(images), without_numbers(images[:, :, : 3 * patch, : 3 * patch].contiguous())
        some = without_numbers(torch.arange(8).expand(2, -1).contiguous())
        for _ in range(3):
            tokens = backbone.embed(whole)
            for features in (backbone.encode(tokens[:, :8], patches=some), backbone(whole), backbone(crop)):
                assert features.device.type == "cuda"
        assert len(gpu.crossings) <= 2


def test_positions_that_were_kept_can_be_learned_through():
    net, patch, _ = small("dinov3")
    backbone = backbone_of(net)
    images = torch.randn(2, 3, SIDE * patch, SIDE * patch)
    with torch.inference_mode():
        expected = backbone(images).clone()
    features = backbone(images)
    features.sum().backward()
    assert torch.allclose(features, expected)


def test_tokens_that_are_no_grid_need_to_say_which_patches_they_are():
    backbone = backbone_of(small("dinov3")[0])
    with pytest.raises(ValueError, match="7 tokens are no square grid; patches= says which patches they are"):
        backbone.encode(torch.zeros(1, 7, 96))


@torch.no_grad()
@pytest.mark.parametrize("family", ["dinov3", "eva02-clip", "perception-encoder", "rotary-learned", "siglip"])
def test_what_is_exported_is_the_same_network_in_plain_timm(family):
    net, patch, given = small(family)
    model = backbone_of(net, family, given).as_timm()
    rebuilt = timm.create_model(model.architecture, num_classes=0, **model.arguments).eval()
    rebuilt.load_state_dict(dict(model.weights))
    images = torch.randn(2, 3, SIDE * patch, SIDE * patch)
    assert torch.allclose(rebuilt(images), net(images), atol=1e-6)


@pytest.mark.parametrize("family", ["dinov3", "eva-norms-behind", "rotary-learned"])
def test_rotary_networks_learn_through_their_tokens(family):
    net, patch, _ = small(family)
    backbone = backbone_of(net).train()
    backbone.stochastic_depth(0.2)
    backbone(torch.randn(4, 3, SIDE * patch, SIDE * patch)).square().sum().backward()
    learned = [name for name, weights in net.named_parameters() if weights.grad is not None]
    assert {"blocks.0.attn.qkv.weight", "patch_embed.proj.weight"} <= set(learned)
    assert ("rope.freqs" in learned) == (family == "rotary-learned")
