from __future__ import annotations

import pytest
import torch

from sslbench import BuildContext, UserError, build_plugin
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyTokenBackbone
from sslbench.train.masks import draw_masks
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches
from sslbench_plugins.methods.ijepa import IJEPAParams, sslbench_methods

PROGRESS = Progress(0, 1, 0, 1)
SMALL = {"predictor_dim": 16, "predictor_depth": 2, "predictor_heads": 2}


def build(backbone=None, **overrides):
    torch.manual_seed(0)
    backbone = backbone or ViTSmallImage(ViTParams(dim=24, depth=2, heads=2, patch_size=4, pool="class"), 32)
    (spec,) = sslbench_methods()
    params = IJEPAParams(**{**SMALL, **overrides})
    return spec.build(params, BuildContext(image_size=32, backbone=backbone, mask_ratio=0.75))


def batch_of(method, masking="multi-block", images=3, seed=1):
    """Images, and the context and targets that a masking makes."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(images, 3, 32, 32, generator=generator)
    return pixels, draw_masks(method, build_plugin("masking", masking), 0.75, images, generator)


def smooth(error):
    return torch.where(error.abs() < 1, error * error / 2, error.abs() - 0.5)


def plain_loss(method, images, context, targets):
    """One target of one image at a time."""
    backbone, predictor, losses = method.backbone, method.predictor, []
    for image, visible, blocks in zip(images, context, targets, strict=True):
        tokens = backbone.embed(image[None])[:, visible]
        encoded = backbone.encode(tokens, patches=visible[None])[0, 1:]
        known = predictor.embed(encoded) + predictor.positions[visible]
        teacher = method.target_encoder.backbone
        whole = teacher.encode(teacher.embed(image[None]))[0, 1:]
        whole = (whole - whole.mean(-1, keepdim=True)) / (whole.var(-1, keepdim=True, unbiased=False) + 1e-5) ** 0.5
        if method.params.target == "pixels":
            whole = to_patches(image[None], 4)[0]
        for block in blocks:
            asked = torch.stack([predictor.mask_token + predictor.positions[patch] for patch in block])
            mixed = torch.cat([asked, known])[None]
            for layer in predictor.blocks:
                mixed = layer(mixed)
            predicted = predictor.project(predictor.norm(mixed))[0, : len(block)]
            losses.append(smooth(predicted - whole[block]).mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("masking", ["multi-block", "multi-block:targets=2", "random", "block"])
@pytest.mark.parametrize("target", ["representations", "pixels"])
def test_the_loss_equals_a_loop_over_images_and_targets(masking, target):
    method = build(target=target)
    with torch.no_grad():
        for p in method.target_encoder.parameters():
            p.add_(0.01)
        images, masks = batch_of(method, masking)
        loss, scalars = method([images], masks=masks, progress=PROGRESS)
        torch.testing.assert_close(loss, plain_loss(method, images, *masks), rtol=1e-6, atol=1e-6)
    assert set(scalars) == ({"embedding_spread"} if target == "representations" else set())


def test_only_the_context_reaches_the_prediction():
    method = build().eval()
    images, (context, targets) = batch_of(method)
    patches = to_patches(images, 4)
    outside = torch.ones(3, 64, dtype=torch.bool).scatter_(1, context, False)
    patches[outside] += 5
    changed = from_patches(patches, 4, (8, 8))
    with torch.no_grad():
        before, after = (method.predict(pixels, context, targets) for pixels in (images, changed))
    assert torch.equal(before, after)


def test_no_gradient_reaches_the_target_encoder_and_one_reaches_all_else():
    method = build()
    images, masks = batch_of(method)
    loss, scalars = method([images], masks=masks, progress=PROGRESS)
    loss.backward()
    assert all(p.grad is None for p in method.target_encoder.parameters())
    assert all(p.grad is not None for part in (method.backbone, method.predictor) for p in part.parameters())
    assert not any(value.requires_grad for value in scalars.values())
    trained = {id(p) for group in method.param_groups(0.1) for p in group["params"]}
    assert not trained & {id(p) for p in method.target_encoder.parameters()}


@pytest.mark.parametrize(("step", "momentum"), [(0, 0.9), (5, 0.95), (10, 1.0)])
def test_the_target_encoder_follows_with_a_momentum_that_rises_in_equal_steps(step, momentum):
    method = build(target_momentum=0.9)
    before = [p.clone() for p in method.target_encoder.parameters()]
    with torch.no_grad():
        for p in method.backbone.parameters():
            p.add_(torch.randn(p.shape))
    method.after_step(Progress(step, 10, 0, 1))
    pairs = zip(before, method.backbone.parameters(), method.target_encoder.parameters(), strict=True)
    for old, online, new in pairs:
        torch.testing.assert_close(new, momentum * old + (1 - momentum) * online.detach())


def test_without_a_moving_average_the_target_encoder_is_the_last_steps_encoder():
    method = build(target_momentum=0, target_momentum_end=0)
    with torch.no_grad():
        for p in method.backbone.parameters():
            p.mul_(2)
    method.after_step(Progress(5, 10, 0, 1))
    assert all(map(torch.equal, method.target_encoder.parameters(), method.backbone.parameters()))


def test_the_target_encoder_is_evaluated_with_the_mean_of_its_patches():
    method = build().eval()
    images, _ = batch_of(method)
    encoder = method.encoder
    with torch.no_grad():
        tokens = encoder.encode(encoder.embed(images))
        assert torch.equal(encoder(images), tokens[:, 1:].mean(dim=1))
        assert not torch.allclose(encoder(images), method.backbone(images))
        assert encoder.attention(images).shape == (3, 2, 64)
    assert encoder.positions((8, 8)).shape == (64, 24)


def test_timm_gets_the_same_features(tmp_path):
    import timm

    method = build().eval()
    images, _ = batch_of(method)
    model = method.encoder.as_timm()
    net = timm.create_model(model.architecture, num_classes=0, **model.arguments)
    net.load_state_dict(model.weights)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(images), method.encoder(images), rtol=1e-4, atol=1e-5)


def test_a_collapse_shows_in_the_spread_and_nothing_else_does():
    method = build(TinyTokenBackbone(32))
    images, masks = batch_of(method, images=16)
    _, scalars = method([images], masks=masks, progress=PROGRESS)
    assert scalars["embedding_spread"] > 0.05
    with torch.no_grad():
        method.target_encoder.backbone.project.weight.zero_()
    _, scalars = method([images], masks=masks, progress=PROGRESS)
    assert scalars["embedding_spread"] < 1e-3


def test_heads_that_do_not_divide_the_predictor_are_named():
    with pytest.raises(UserError, match=r"method 'ijepa': predictor_dim = 16 is not divisible by predictor_heads = 3"):
        build(predictor_heads=3)


def test_it_is_masked_and_cropped_as_in_the_paper():
    (spec,) = sslbench_methods()
    assert (spec.masking, spec.augmentation) == ("multi-block", "mae:crop_scale_min=0.3,flip=0")
