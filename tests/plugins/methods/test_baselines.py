from __future__ import annotations

import pytest
import torch

from sslbench import BuildContext
from sslbench.contracts.method import Progress
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyBackbone

REGISTRY = Registry()


def build(name, backbone):
    spec = REGISTRY.get("method", name)
    return spec.build(spec.params(), BuildContext(backbone=backbone, image_size=8))


def test_random_init_is_the_backbone_untouched():
    backbone = TinyBackbone()
    assert build("random-init", backbone).encoder is backbone


def test_raw_pixels_are_the_pixels():
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(build("raw-pixels", None).encoder(images), images.flatten(1))


@pytest.mark.parametrize("name", ["random-init", "raw-pixels"])
def test_a_baseline_has_no_loss(name):
    with pytest.raises(RuntimeError, match="takes no training step"):
        build(name, TinyBackbone())([], masks=(), progress=Progress(0, 1, 0, 1))
