from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench.testing.fakes import TinyTokenBackbone
from sslbench_plugins.backbones.vit import ViTParams, build
from sslbench_plugins.backbones.vit_tiny_small_image import ViTParams as SmallParams, ViTSmallImage
from sslbench_plugins.blocks.networks.layer_decay import rate_scales, scaled_groups


def plain(name, blocks, decay, patch_embedding):
    """DINOv2's `param_groups.py`: a name's layer, 0 to blocks + 1, and the factor of its learning rate."""
    first = ("cls_token", "class_token", "pos_embed", "reg_token", "mask_token")
    if "blocks." in name:
        layer = int(name.split("blocks.")[1].split(".")[0]) + 1
    elif name.split(".")[-1] in first or "patch_embed" in name:
        layer = 0
    else:
        layer = blocks + 1
    return decay ** (blocks + 1 - layer) * (patch_embedding if "patch_embed" in name else 1)


def vit():
    from sslbench import BuildContext

    return build(ViTParams(size="tiny", patch_size=8, positions="learned"), BuildContext(image_size=16))


@pytest.mark.parametrize(
    ("make", "blocks"),
    [(vit, 12), (lambda: ViTSmallImage(SmallParams(dim=24, depth=5, heads=2, patch_size=4), 16), 5)],
    ids=["vit", "vit-tiny-small-image"],
)
def test_the_scales_are_those_of_the_authors_code(make, blocks):
    names = ["mask_token", *(name for name, _ in make().named_parameters())]
    scales = rate_scales(names, 0.9, 0.2)
    assert set(scales) == set(names)
    expected = {name: plain(name, blocks, 0.9, 0.2) for name in names}
    assert scales == pytest.approx(expected, rel=1e-12)
    patch_embedding = next(name for name in names if "patch_embed" in name)
    assert scales[patch_embedding] == pytest.approx(0.2 * 0.9 ** (blocks + 1))
    assert scales["mask_token"] == pytest.approx(0.9 ** (blocks + 1))
    assert max(scales.values()) == scales[names[-1]] == 1


def test_a_network_without_blocks_is_trained_at_one_rate():
    names = [name for name, _ in TinyTokenBackbone().named_parameters()]
    assert rate_scales(names, 0.5) == dict.fromkeys(names, 1.0)


def test_groups_hold_each_trained_parameter_once_and_decay_matrices_only():
    parameters = {
        "a.weight": nn.Parameter(torch.zeros(2, 2)),
        "a.bias": nn.Parameter(torch.zeros(2)),
        "b.weight": nn.Parameter(torch.zeros(2, 2)),
        "frozen": nn.Parameter(torch.zeros(2, 2), requires_grad=False),
        "head": nn.Parameter(torch.zeros(2, 2)),
    }
    groups = scaled_groups(parameters, {"a.weight": 0.5, "a.bias": 0.5, "b.weight": 0.25, "frozen": 0.25}, 0.1)
    found = {(group["lr_scale"], group["weight_decay"], group.get("adapt", True)): group["params"] for group in groups}
    assert set(found) == {(0.5, 0.1, True), (0.5, 0.0, False), (0.25, 0.1, True), (1.0, 0.1, True)}
    assert found[1.0, 0.1, True] == [parameters["head"]]
    assert found[0.25, 0.1, True][0] is parameters["b.weight"]
