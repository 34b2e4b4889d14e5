from __future__ import annotations

import pytest
import torch

from sslbench import BuildContext
from sslbench.contracts.method import Progress
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches
from sslbench_plugins.methods.simmim import SimMIMParams, sslbench_methods

PROGRESS = Progress(0, 1, 0, 1)


def build(**overrides):
    torch.manual_seed(0)
    backbone = ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4), 16)
    (spec,) = sslbench_methods()
    return spec.build(SimMIMParams(**overrides), BuildContext(image_size=16, backbone=backbone, mask_ratio=0.6)).eval()


def images_and_mask(batch=3, masked=10):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(batch, 3, 16, 16, generator=generator)
    return images, torch.rand(batch, 16, generator=generator).argsort(1) < masked


def plain_loss(method, images, mask, distance, everywhere):
    """Equation 1, patch by patch: mask tokens in the place of embedded patches, then one linear layer a token."""
    backbone, errors = method.backbone, []
    for image, masked in zip(images, mask, strict=True):
        tokens = backbone.embed(image[None])[0]
        for patch in range(16):
            if masked[patch]:
                tokens[patch] = method.mask_tokens.token[0, 0] + backbone.positions((4, 4))[patch]
        encoded = backbone.encode(tokens[None])[0, 1:]
        pixels = to_patches(image[None], 4)[0]
        for patch in range(16):
            if masked[patch] or everywhere:
                errors += [distance(method.head(encoded[patch]) - pixels[patch])]
    return torch.cat(errors).mean()


DISTANCES = {
    "l1": lambda e: e.abs(),
    "l2": lambda e: e * e,
    "smooth-l1": lambda e: torch.where(e.abs() < 1, e * e / 2, e.abs() - 0.5),
}


@pytest.mark.parametrize("loss", DISTANCES)
@pytest.mark.parametrize("loss_on", ["masked", "all"])
@pytest.mark.parametrize("head_layers", [1, 2])
def test_the_loss_equals_the_plain_formula(loss, loss_on, head_layers):
    method = build(loss=loss, loss_on=loss_on, head_layers=head_layers)
    images, mask = images_and_mask()
    value, scalars = method([images], masks=[mask], progress=PROGRESS)
    with torch.no_grad():
        expected = plain_loss(method, images, mask, DISTANCES[loss], loss_on == "all")
    torch.testing.assert_close(value.detach(), expected, rtol=1e-6, atol=1e-6)
    assert scalars == {}


def test_the_head_is_one_linear_layer_and_has_as_many_as_asked():
    for layers in (1, 2, 3):
        widths = [p.shape[0] for p in build(head_layers=layers).head.parameters() if p.ndim == 2]
        assert widths == [24] * (layers - 1) + [48]


def test_the_encoder_gets_all_patches_and_no_masked_pixel():
    method, (images, mask), inputs = build(), images_and_mask(), []
    encode = method.backbone.encode
    method.backbone.encode = lambda tokens: inputs.append(tokens) or encode(tokens)
    patches = to_patches(images, 4)
    patches[mask] += 5
    for batch in (images, from_patches(patches, 4, (4, 4))):
        method([batch], masks=[mask], progress=PROGRESS)
    assert inputs[0].shape == (3, 16, 24)
    assert torch.equal(inputs[0], inputs[1])


@pytest.mark.parametrize("masked", [1, 8, 15])
def test_only_masked_patches_are_reconstructed_and_the_loss_is_their_error(masked):
    method, (images, mask) = build(), images_and_mask(masked=masked)
    with torch.no_grad():
        reconstructed, true = to_patches(method.reconstruct(images, mask), 4), to_patches(images, 4)
        loss, _ = method([images], masks=[mask], progress=PROGRESS)
    assert torch.equal(reconstructed[~mask], true[~mask])
    torch.testing.assert_close(loss, (reconstructed - true)[mask].abs().mean())


@pytest.mark.parametrize(("clip", "norm"), [(5.0, 5.0), (0, 60.0)])
def test_the_whole_gradient_is_clipped(clip, norm):
    method = build(clip=clip)
    for p in method.parameters():
        p.grad = torch.zeros_like(p)
    method.head[0].bias.grad[:2] = torch.tensor([36.0, 48.0])
    method.after_backward(PROGRESS)
    assert method.head[0].bias.grad.norm().item() == pytest.approx(norm, rel=1e-5)


def test_the_backbone_is_evaluated_and_masked_as_in_the_paper():
    (spec,) = sslbench_methods()
    assert (spec.masking, spec.augmentation) == ("random:ratio=0.6,unit=2", "mae:crop_scale_min=0.67")
    method = build()
    assert method.encoder is method.backbone
