"""No attention of ours makes the table of all tokens by all tokens: each reaches a kernel that never holds it."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sslbench import BuildContext
from sslbench.contracts.method import Progress
from sslbench.hooks.registry import Registry
from sslbench.train.masks import draw_masks

REGISTRY = Registry()
QUICK = {"simmim": {}, "mae": {"decoder_depth": 1, "decoder_dim": 32, "decoder_heads": 2}}


class Attention(TorchDispatchMode):
    """``kernels``: of attention that are called; ``tables``: shapes of what a softmax makes of rows of tokens."""

    def __init__(self):
        super().__init__()
        self.kernels, self.tables = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if "scaled_dot_product" in name:
            self.kernels.append(name)
        elif "softmax" in name and result.ndim >= 3 and result.shape[-1] == result.shape[-2]:
            self.tables.append(list(result.shape))
        return result


def step(name, backbone):
    """Forward and backward of a method on a backbone at 32 px, half of the patches masked."""
    spec = REGISTRY.get("method", name)
    params = spec.params(**{**spec.presets.get("quick", {}), **QUICK.get(name, {})})
    context = BuildContext(backbone=backbone, image_size=32, mask_ratio=0.5)
    method = spec.build(params, context)
    masks = draw_masks(method, None, 0.5, 2, torch.Generator().manual_seed(0))
    views = [torch.randn(2, 3, view.size, view.size) for view in method.views]
    loss, _ = method(views, masks=masks, progress=Progress(0, 10, 0, 1))
    loss.backward()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["mae", "simmim", "ibot", "ijepa"])
def test_methods_on_tokens_hold_no_table_of_attention(name, precision):
    spec = REGISTRY.get("backbone", "vit-tiny-small-image")
    backbone = spec.build(spec.params(), BuildContext(image_size=32))
    with Attention() as attention, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        step(name, backbone)
    assert attention.tables == []
    assert {"backward" in kernel for kernel in attention.kernels} == {False, True}


def test_timms_networks_hold_none_either():
    spec = REGISTRY.get("backbone", "vit")
    backbone = spec.build(spec.params(size="tiny", patch_size=8), BuildContext(image_size=32))
    with Attention() as attention:
        backbone(torch.randn(2, 3, 32, 32)).sum().backward()
    assert attention.tables == []
    assert len(attention.kernels) == 2 * 12


def test_the_table_is_seen_where_it_is_made():
    with Attention() as attention:
        (torch.randn(2, 3, 5, 4) @ torch.randn(2, 3, 4, 5)).softmax(-1)
    assert attention.tables == [[2, 3, 5, 5]]
