"""The attention of a backbone is the one with which its last block mixes the tokens."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sslbench import BuildContext, TokenBackbone
from sslbench.hooks.registry import Registry

REGISTRY = Registry()
CASES = {
    "small": ("vit-tiny-small-image", 32, {"dim": 24, "depth": 3, "heads": 3}, 1),
    "small-class": ("vit-tiny-small-image", 16, {"dim": 24, "depth": 1, "heads": 2, "pool": "class"}, 1),
    "vit": ("vit", 48, {"size": "tiny", "patch_size": 8}, 1),
    "registers": ("timm", 56, {"name": "vit_small_patch14_reg4_dinov2"}, 5),
    "timm": ("timm", 32, {"name": "vit_tiny_patch16_224"}, 1),
}


def build(case: str) -> tuple[TokenBackbone, int, int]:
    name, size, overrides, prefix = CASES[case]
    spec = REGISTRY.get("backbone", name)
    params = spec.params(**overrides)
    assert "attention" in spec.provided(params)
    torch.manual_seed(0)
    return spec.build(params, BuildContext(image_size=size)).eval(), size, prefix


@pytest.fixture
def mixed(monkeypatch):
    """Queries and keys of every call of torch's attention."""
    products = []
    attend = functional.scaled_dot_product_attention

    def spy(q, k, v, **options):
        products.append((q, k))
        return attend(q, k, v, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    return products


@pytest.mark.parametrize("larger", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_softmax_of_the_last_blocks_products_from_the_class_token(case, larger, mixed):
    backbone, size, prefix = build(case)
    size += larger * backbone.patch_size
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        backbone(images)
        queries, keys = mixed[-1]
        attention = backbone.attention(images)
    patches = (size // backbone.patch_size) ** 2
    assert attention.shape == (2, queries.shape[1], patches)
    scores = torch.einsum("bhqd,bhkd->bhqk", queries.double(), keys.double()) / queries.shape[-1] ** 0.5
    weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
    assert torch.allclose(attention, weights[:, :, 0, prefix:].float(), atol=1e-5)
    assert attention.dtype == torch.float32
    assert (attention.sum(dim=-1) < 1).all()


@pytest.mark.parametrize("case", CASES)
def test_asking_for_it_changes_nothing(case):
    backbone, size, _ = build(case)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        before = backbone(images)
        backbone.attention(images)
        assert torch.equal(backbone(images), before)
        assert torch.equal(backbone.attention(images), backbone.attention(images))


def test_it_is_float32_under_autocast():
    backbone, size, _ = build("small")
    images = torch.randn(2, 3, size, size)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        attention = backbone.attention(images)
    assert attention.dtype == torch.float32
    with torch.no_grad():
        assert torch.allclose(attention, backbone.attention(images), atol=0.02)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vit_small_patch16_224", {"tokens", "attention"}),
        ("vit_base_patch16_224_miil", {"tokens", "attention"}),
        ("vit_base_patch16_rope_reg1_gap_256", {"tokens"}),
        ("vit_small_patch16_dinov3", {"tokens", "attention"}),
        ("vit_pe_core_tiny_patch16_384", {"tokens", "attention"}),
        ("vit_base_patch16_siglip_224", {"tokens", "attention"}),
        ("vit_base_patch16_siglip_gap_224", {"tokens"}),
        ("vit_little_patch16_reg4_gap_256", {"tokens"}),
        ("vit_small_patch16_36x1_224", {"tokens", "attention"}),
        ("vit_small_patch16_18x2_224", {"tokens"}),
    ],
)
def test_a_timm_model_provides_it_with_a_class_token_and_plain_blocks_or_an_attention_pool(name, words):
    import timm

    assert timm.is_model(name)
    spec = REGISTRY.get("backbone", "timm")
    assert spec.provided(spec.params(name=name)) == words
