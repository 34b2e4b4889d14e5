from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from sslbench import UserError
from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone
from sslbench.testing.pretended_gpu import PretendedGpu
from sslbench_plugins.blocks.objectives.feature_queue import FeatureQueue
from sslbench_plugins.methods.moco import (
    MoCo,
    MoCoParams,
    SplitBatchNorm2d,
    channels_as_parts,
    parts_as_channels,
    split_batch_norms,
)
from sslbench_plugins.methods.moco_v3 import MoCoV3, MoCoV3Params

PROGRESS = Progress(0, 10, 0, 1)


def build(**overrides):
    torch.manual_seed(0)
    return MoCo(MoCoParams(**{"queue_size": 32, "dim": 8, **overrides}), TinyBackbone(), 8)


def pair(batch=6, seed=1):
    return list(torch.randn(2, batch, 3, 8, 8, generator=torch.Generator().manual_seed(seed)))


def plain_loss(query, key, negatives, temperature):
    """He et al. 2020, equation 1, one query at a time."""
    losses = []
    for q, k in zip(query, key, strict=True):
        scores = torch.stack([q @ k, *(q @ negative for negative in negatives)]) / temperature
        losses.append(scores.logsumexp(0) - scores[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_loss_equals_the_plain_formula_and_neither_half_uses_the_others_keys(symmetric):
    method = build(symmetric=symmetric)
    views = pair()
    queries = [functional.normalize(method.head(method.backbone(view)), dim=1) for view in views]
    keys = [functional.normalize(method.key_head(method.key_backbone(view)), dim=1) for view in views]
    negatives = method.queue.keys.clone()
    expected = plain_loss(queries[0], keys[1], negatives, 0.2)
    if symmetric:
        expected = (expected + plain_loss(queries[1], keys[0], negatives, 0.2)) / 2
    loss, _ = method(views, masks=(), progress=PROGRESS)
    assert torch.allclose(loss, expected, rtol=1e-5)
    assert torch.equal(method.queue.keys, negatives), "the queue changes after the step, not within it"
    method.after_step(PROGRESS)
    assert torch.allclose(method.queue.keys[:6], keys[1], atol=1e-6)
    assert int(method.queue.place) == (12 if symmetric else 6)


@pytest.mark.parametrize(("size", "batch"), [(10, 4), (7, 7), (5, 3), (8, 20), (1000, 256)])
def test_the_queue_wraps_at_any_batch_size(size, batch):
    queue = FeatureQueue(size, 2)
    ring, oldest = queue.keys.clone(), 0
    for step in range(6):
        keys = torch.arange(batch * 2.0).view(batch, 2) + 100 * step
        for key in keys:
            ring[oldest] = key
            oldest = (oldest + 1) % size
        queue.put(keys)
        assert torch.equal(queue.keys, ring)
        assert int(queue.place) == oldest


def test_the_key_encoder_is_a_moving_average_and_is_not_trained():
    method = build(key_momentum=0.9)
    before = [p.clone() for p in method.key_backbone.parameters()]
    with torch.no_grad():
        for p in method.backbone.parameters():
            p.add_(1.0)
    method.after_step(PROGRESS)
    for was, key, query in zip(before, method.key_backbone.parameters(), method.backbone.parameters(), strict=True):
        assert torch.allclose(key, 0.9 * was + 0.1 * query, atol=1e-6)
    grouped = {id(p) for group in method.param_groups(0.1) for p in group["params"]}
    assert not grouped & {id(p) for p in [*method.key_backbone.parameters(), *method.key_head.parameters()]}


def test_split_batch_norm_normalises_each_part_alone():
    torch.manual_seed(0)
    norm = SplitBatchNorm2d(4, 2)
    images = torch.randn(6, 4, 3, 3) * 3 + 1
    whole, plain = norm(images), torch.nn.BatchNorm2d(4)
    for part in range(2):
        assert torch.allclose(whole[part::2], plain.train()(images[part::2]), atol=1e-5)
    means = torch.stack([images[part::2].mean(dim=(0, 2, 3)) for part in range(2)])
    assert torch.allclose(norm.running_mean, 0.1 * means.mean(0), atol=1e-6)
    assert torch.allclose(norm.eval()(images[:1]), norm.eval()(images)[:1])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_parts_become_channels_and_back_in_either_layout(layout):
    images = torch.arange(6.0 * 4 * 3 * 5).reshape(6, 4, 3, 5)
    folded = parts_as_channels(images.clone(memory_format=layout), 2)
    assert folded.is_contiguous(memory_format=layout)
    assert torch.equal(folded, images.reshape(3, 8, 3, 5))
    back = channels_as_parts(folded, 2)
    assert back.is_contiguous(memory_format=layout)
    assert torch.equal(back, images)


class Layouts(TorchDispatchMode):
    """Notes whether convolutions and norms are given channels last, and counts copies of images."""

    def __init__(self):
        super().__init__()
        self.last, self.copies = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if "convolution" in name or "batch_norm" in name:
            images = [t for t in args[:2] if isinstance(t, torch.Tensor) and t.ndim == 4]
            self.last += [t.is_contiguous(memory_format=torch.channels_last) for t in images]
        elif name in ("clone", "copy_", "_to_copy") and result.ndim >= 4:
            self.copies += 1
        return result


@pytest.mark.pretended
def test_split_batch_norm_keeps_channels_last_through_a_network_on_a_gpu():
    convolutions = [torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 3, padding=1)]
    network = torch.nn.Sequential(convolutions[0], SplitBatchNorm2d(4, 2), torch.nn.ReLU(), convolutions[1])
    network.to(memory_format=torch.channels_last)
    with PretendedGpu() as gpu:
        gpu.take(network)
        images = torch.empty(6, 3, 5, 5, device="cuda").to(memory_format=torch.channels_last)
        with Layouts() as layouts:
            network(images).square().sum().backward()
    assert len(layouts.last) >= 6
    assert all(layouts.last)
    assert layouts.copies == 4, "two there, two back"


def test_split_batch_norms_replaces_every_one_and_keeps_the_state_dicts_names():
    backbone = TinyBackbone()
    names = list(backbone.state_dict())
    split_batch_norms(backbone, 2)
    assert list(backbone.state_dict()) == names
    assert [type(m).__name__ for m in backbone.net] == ["Conv2d", "SplitBatchNorm2d", "ReLU"]


def test_with_split_batch_norm_keys_share_no_statistics_with_their_queries_and_come_back_in_order():
    method = build(split_bn=2)
    view, _ = pair(8)

    def unshuffled():
        return functional.normalize(method.key_head(method.key_backbone(view)), dim=1)

    torch.manual_seed(3)
    assert not torch.allclose(method.keys(view), unshuffled(), atol=1e-4), "other parts, other statistics"
    method.eval()
    assert torch.allclose(method.keys(view), unshuffled(), atol=1e-6)


@pytest.mark.parametrize(
    ("overrides", "batch", "words"),
    [
        ({"queue_size": 15}, 16, "queue_size = 15 is shorter than the 16 keys of a batch of 16; allowed: 16 or more"),
        ({"queue_size": 31, "symmetric": True}, 16, "queue_size = 31 is shorter than the 32 keys"),
        ({"split_bn": 3}, 16, "split_bn = 3 does not cut a batch of 16 into equal parts of two images or more"),
        ({"split_bn": 8}, 8, "split_bn = 8 does not cut a batch of 8"),
        ({}, 1, "batch of 1: batch norm needs at least 2 images at once"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_before_the_first_step(overrides, batch, words):
    with pytest.raises(UserError, match=words):
        build(**overrides).check_batch(batch)


def test_any_batch_that_the_queue_can_hold_is_fine():
    build(queue_size=1000).check_batch(256)


def test_version_3_equals_the_plain_formula_of_the_authors():
    torch.manual_seed(0)
    method = MoCoV3(MoCoV3Params(hidden_dim=16, dim=8, temperature=0.3), TinyBackbone(), 8)
    views = pair()
    queries = [method.predictor(method.projector(method.backbone(view))) for view in views]
    keys = [method.key_projector(method.key_backbone(view)) for view in views]

    def one_way(q, k):
        q, k = functional.normalize(q, dim=1), functional.normalize(k, dim=1)
        return functional.cross_entropy(q @ k.T / 0.3, torch.arange(len(q))) * 2 * 0.3

    loss, _ = method(views, masks=(), progress=PROGRESS)
    assert torch.allclose(loss, one_way(queries[0], keys[1]) + one_way(queries[1], keys[0]), rtol=1e-5)


def test_version_3_leaves_the_patch_projection_alone():
    from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams, ViTSmallImage

    backbone = ViTSmallImage(ViTParams(dim=24, depth=1, heads=2, patch_size=4), 8)
    method = MoCoV3(MoCoV3Params(hidden_dim=16, dim=8), backbone, 8)
    frozen = [name for name, p in method.backbone.named_parameters() if not p.requires_grad]
    assert frozen == ["patch_embed.weight", "patch_embed.bias"]


def test_batch_norm_is_split_alike_on_every_device(monkeypatch):
    method = build(split_bn=4)
    monkeypatch.setattr("sslbench_plugins.methods.moco.ranks", lambda: 2)
    method.check_batch(16)
    with pytest.raises(UserError, match="split_bn = 4 does not cut a batch of 12 on 2 devices into equal parts of two"):
        method.check_batch(12)
