"""Published models that people try first, by the names that people call them."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # At 224 pixels, as its authors evaluate it; timm's configuration says 518, at which it was trained last.
    "dinov2-vits14": {"name": "vit_small_patch14_dinov2.lvd142m", "size": 224},
    "dinov2-vitb14": {"name": "vit_base_patch14_dinov2.lvd142m", "size": 224},
    "dinov2-vitl14": {"name": "vit_large_patch14_dinov2.lvd142m", "size": 224},
    "dinov2-small-registers": {"name": "vit_small_patch14_reg4_dinov2.lvd142m", "size": 224},
    "dinov2-base-registers": {"name": "vit_base_patch14_reg4_dinov2.lvd142m", "size": 224},
    # By the class token, as its authors evaluate it; timm takes the mean of the patches.
    "dinov3-small": {"name": "vit_small_patch16_dinov3.lvd1689m", "pool": "class"},
    "dinov3-base": {"name": "vit_base_patch16_dinov3.lvd1689m", "pool": "class"},
    "dinov3-convnext-tiny": {"name": "convnext_tiny.dinov3_lvd1689m"},
    "siglip2-base": {"name": "vit_base_patch16_siglip_224.v2_webli"},
    "pe-core-tiny": {"name": "vit_pe_core_tiny_patch16_384.fb"},
    "pe-core-base": {"name": "vit_pe_core_base_patch16_224.fb"},
    "tips-v2-base": {"name": "vit_base_patch14_reg1_tipsv2.webli"},
    "eva02-clip-base": {"name": "eva02_base_patch16_clip_224.merged2b"},
    # OpenAI trained with QuickGELU; timm's plain variant of the same weights has another activation.
    "clip-vitb16": {"name": "vit_base_patch16_clip_quickgelu_224.openai"},
    "tinyclip": {"name": "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"},
    "aimv2-large": {"name": "aimv2_large_patch14_224.apple_pt_dist"},
    # Of the two encoders in the file the authors evaluate the moving average; timm takes the other.
    "ijepa-huge": {"name": "vit_huge_patch14_gap_224.in1k_ijepa", "weights": "ema"},
    "mae-vitb16": {"name": "vit_base_patch16_224.mae"},
    "dino-vits16": {"name": "vit_small_patch16_224.dino"},
    "supervised-resnet50": {"name": "resnet50.a1_in1k"},
    "supervised-vitb16": {"name": "vit_base_patch16_224.augreg_in21k_ft_in1k"},
}

ALSO_CALLED = {
    "dinov2-small": "dinov2-vits14",
    "dinov2-base": "dinov2-vitb14",
    "dinov2-large": "dinov2-vitl14",
    "clip-base": "clip-vitb16",
    "mae-base": "mae-vitb16",
    "dino-small": "dino-vits16",
}
"""another name -> the preset"""
PRESETS.update({name: PRESETS[preset] for name, preset in ALSO_CALLED.items()})
