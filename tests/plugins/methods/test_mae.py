from __future__ import annotations

import pytest
import torch

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches
from sslbench_plugins.methods.mae import MAE, MAEParams

PROGRESS = Progress(0, 1, 0, 1)
SMALL = {"decoder_dim": 16, "decoder_depth": 2, "decoder_heads": 2}


def build(ratio=0.75, image_size=16, **overrides):
    torch.manual_seed(0)
    backbone = ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4), image_size)
    return MAE(MAEParams(**{**SMALL, **overrides}), backbone, image_size, ratio)


def masks(batch, patches, masked, seed=0):
    order = torch.rand(batch, patches, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return order < masked


def plain_loss(method, images, mask):
    """The authors' forward, image by image: encode what is visible, put mask tokens in place, predict, compare."""
    backbone, patch = method.backbone, method.backbone.patch_size
    losses = []
    for image, masked in zip(images, mask, strict=True):
        tokens = backbone.embed(image[None])[0]
        encoded = backbone.encode(tokens[~masked][None])[0]
        small = method.decoder_embed(encoded)
        full = method.mask_token[0].repeat(len(tokens), 1)
        full[~masked] = small[1:]
        full = torch.cat([small[:1], full + method.decoder_positions])[None]
        for block in method.decoder_blocks:
            full = block(full)
        prediction = method.decoder_pred(method.decoder_norm(full))[0, 1:]
        target = to_patches(image[None], patch)[0]
        if method.norm_pix:
            target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
        losses.append(((prediction - target) ** 2).mean(-1)[masked])
    return torch.cat(losses).mean()


@pytest.mark.parametrize("norm_pix", [True, False])
@pytest.mark.parametrize("ratio", [0.25, 0.75])
def test_the_loss_equals_the_plain_forward(norm_pix, ratio):
    method = build(ratio, norm_pix=norm_pix)
    images = torch.randn(3, 3, 16, 16)
    mask = masks(3, 16, method.masked_patches)
    loss, _ = method([images], masks=[mask], progress=PROGRESS)
    assert torch.allclose(loss, plain_loss(method, images, mask), rtol=1e-5)


def test_the_encoder_gets_only_visible_patches():
    method = build()
    shapes = []
    encode = method.backbone.encode
    method.backbone.encode = lambda tokens, patches: shapes.append(tuple(tokens.shape)) or encode(tokens)
    method([torch.randn(3, 3, 16, 16)], masks=[masks(3, 16, 12)], progress=PROGRESS)
    assert shapes == [(3, 4, 24)]


def test_what_is_masked_does_not_reach_the_prediction():
    method = build(norm_pix=False).eval()
    mask = masks(1, 16, 12)
    images = torch.randn(1, 3, 16, 16)
    patches = to_patches(images, 4)
    changed = patches.clone()
    changed[mask] += 5
    outputs = []
    for values in (patches, changed):
        decoded = []
        method.decoder_pred.register_forward_hook(lambda module, args, out, kept=decoded: kept.append(out))
        method([from_patches(values, 4, (4, 4))], masks=[mask], progress=PROGRESS)
        outputs.append(decoded[0])
    assert torch.equal(outputs[0], outputs[1])


def test_patches_go_back_to_the_image():
    images = torch.randn(2, 3, 8, 12)
    assert torch.equal(from_patches(to_patches(images, 4), 4, (2, 3)), images)
    assert torch.equal(to_patches(images, 4)[0, 1].view(4, 4, 3), images[0, :, :4, 4:8].permute(1, 2, 0))


def test_a_ratio_that_masks_everything_names_the_numbers():
    with pytest.raises(UserError, match=r"mask ratio = 0\.97 leaves 0 of 16 patches visible"):
        build(0.97)


def test_heads_that_do_not_divide_the_decoder_are_named():
    with pytest.raises(UserError, match=r"method 'mae': decoder_dim = 16 is not divisible by decoder_heads = 3"):
        build(decoder_heads=3)
