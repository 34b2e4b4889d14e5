"""The ablation of MAE: the encoder works on all patches, mask tokens included."""

from __future__ import annotations

import torch

from sslbench.contracts.method import Progress
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.methods.mae import MAEParams, MAEWithMaskTokensInEncoder


def build():
    torch.manual_seed(0)
    backbone = ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4), 16)
    params = MAEParams(decoder_dim=16, decoder_depth=1, decoder_heads=2)
    return MAEWithMaskTokensInEncoder(params, backbone, 16, 0.75)


def test_the_encoder_gets_all_patches_and_none_of_the_masked_pixels():
    method = build()
    inputs = []
    encode = method.backbone.encode
    method.backbone.encode = lambda tokens: inputs.append(tokens) or encode(tokens)
    mask = torch.arange(16).expand(2, -1) >= 4
    images = torch.randn(2, 3, 16, 16)
    # Rows of patches below the first are masked.
    changed = images.clone()
    changed[:, :, 4:] += 5
    for batch in (images, changed):
        method([batch], masks=[mask], progress=Progress(0, 1, 0, 1))
    assert inputs[0].shape == (2, 16, 24)
    assert torch.allclose(inputs[0], inputs[1])
    token = method.mask_tokens.token[0] + method.backbone.positions((4, 4))
    assert torch.allclose(inputs[0][0, 4:], token[4:], atol=1e-6)


def test_the_loss_is_that_of_the_masked_patches():
    method = build()
    images = torch.randn(2, 3, 16, 16)
    mask = torch.rand(2, 16).argsort(1) < 12
    loss, _ = method([images], masks=[mask], progress=Progress(0, 1, 0, 1))
    encoded = method.backbone.encode(method.mask_tokens(method.backbone, images, mask))
    everything = method.decode_all(encoded, torch.arange(16).expand(2, -1))
    target = method.target(images)
    assert torch.allclose(loss, (everything - target).square().mean(-1)[mask].mean(), rtol=1e-5)
