from __future__ import annotations

import math

import pytest
import torch

from sslbench import BuildContext
from sslbench.hooks.registry import Registry
from sslbench.measure.negatives import negatives_per_anchor
from sslbench.testing.fakes import TinyBackbone


@pytest.mark.parametrize("images", [2, 5, 16])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent_has_two_negatives_for_every_other_image(images, temperature):
    spec = Registry().get("method", "simclr")
    context = BuildContext(backbone=TinyBackbone(), image_size=8)
    method = spec.build(spec.params(temperature=temperature), context)
    assert negatives_per_anchor(method, images, 8) == pytest.approx(2 * (images - 1), rel=1e-4)


def test_it_is_the_loss_that_is_counted():
    class Fake(torch.nn.Module):
        def forward(self, views, *, masks, progress):
            assert [list(view.shape) for view in views] == [[4, 3, 8, 8]] * 2
            return torch.tensor(math.log(11)), {}

    method = Fake()
    assert negatives_per_anchor(method, 4, 8) == pytest.approx(10)
    assert method.training


def test_one_image_has_none():
    with pytest.raises(ValueError, match="1 images have no negatives"):
        negatives_per_anchor(None, 1, 8)
