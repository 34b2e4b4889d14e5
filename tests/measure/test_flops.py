from __future__ import annotations

import torch
from torch import nn

from sslbench import BuildContext
from sslbench.contracts.augmentation import ViewRequest
from sslbench.contracts.method import Method
from sslbench.hooks.registry import Registry
from sslbench.measure.flops import step_flops_per_image
from sslbench.testing.fakes import TinyTokenBackbone
from sslbench.train.masks import draw_masks


class OneLayer(Method):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 4 * 4, 10, bias=False)

    @property
    def views(self):
        return (ViewRequest("global", 4),)

    @property
    def encoder(self):
        return self.layer

    def forward(self, views, *, masks, progress):
        return self.layer(views[0].flatten(1)).square().mean(), {}


def test_forward_and_weight_gradient_of_one_layer():
    # 2 * 48 * 10 forward and the same for the weight's gradient; the input needs none.
    assert step_flops_per_image(OneLayer(), 8) == 2 * (2 * 48 * 10)


def test_counting_changes_neither_the_model_nor_the_generators():
    method = OneLayer()
    before, state = method.layer.weight.detach().clone(), torch.get_rng_state()
    step_flops_per_image(method, 8)
    assert torch.equal(before, method.layer.weight)
    assert method.layer.weight.grad is None
    assert torch.equal(state, torch.get_rng_state())


def test_a_method_that_cannot_be_counted_has_none():
    class Reads(OneLayer):
        def forward(self, views, *, masks, progress):
            return torch.tensor(views[0].mean().item(), requires_grad=True), {}

    assert step_flops_per_image(Reads(), 8) is None


def test_heads_on_masked_patches_cost_as_much_as_patches_are_masked():
    spec, counted = Registry().get("method", "ibot"), {}
    for ratio in (0.25, 0.75):
        context = BuildContext(backbone=TinyTokenBackbone(), image_size=16, mask_ratio=ratio)
        params = spec.params(**spec.presets["quick"], centring=False)
        method = spec.build(params, context)
        masks = draw_masks(method, None, ratio, 8, torch.Generator())
        counted[ratio] = step_flops_per_image(method, 8, masks)
    assert counted[0.75] > 1.2 * counted[0.25]


def test_masked_patches_cost_the_encoder_nothing():
    spec = Registry().get("method", "mae")
    vit = Registry().get("backbone", "vit-tiny-small-image")
    counted = {}
    for ratio in (0.25, 0.75):
        backbone = vit.build(vit.params(dim=48, depth=4), BuildContext(image_size=16))
        context = BuildContext(backbone=backbone, image_size=16, mask_ratio=ratio)
        method = spec.build(spec.params(decoder_dim=16, decoder_depth=1, decoder_heads=2), context)
        counted[ratio] = step_flops_per_image(method, 4, draw_masks(method, None, ratio, 4, torch.Generator()))
    assert counted[0.75] < counted[0.25]
