"""Backbones and methods: shapes of features and tokens, and that a step trains."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.backbone import Backbone, BackboneSpec, TokenBackbone
from sslbench.contracts.masking import masked_count
from sslbench.contracts.method import Method, MethodSpec, Progress
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.testing.conformance.devices import of_gpu
from sslbench.testing.conformance.problem import SIZE, Problems
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench.testing.pretended_gpu import PretendedGpu, without_numbers


def of_backbone(spec: Spec, params: Any) -> Problems:
    assert isinstance(spec, BackboneSpec)
    size = 32
    backbone = spec.build(params, BuildContext(image_size=size))
    if not isinstance(backbone, Backbone):
        yield "build must answer a sslbench.Backbone"
        return
    backbone.eval()
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone(images)
        if features.shape != (3, backbone.feature_dim):
            yield f"features {list(features.shape)}, not [3, feature_dim = {backbone.feature_dim}]"
        elif not torch.allclose(features[:1], backbone(images[:1]), atol=1e-4):
            yield "in eval mode the features of an image depend on the rest of the batch"
        if "tokens" in spec.provided(params):
            yield from token_problems(backbone, images)
        if "attention" in spec.provided(params):
            yield from attention_problems(backbone, images)


def token_problems(backbone: Backbone, images: Tensor) -> Problems:
    if not isinstance(backbone, TokenBackbone):
        yield "it says that it provides tokens but is no sslbench.TokenBackbone"
        return
    patches = backbone.grid[0] * backbone.grid[1]
    tokens = backbone.embed(images)
    if tokens.shape != (3, patches, backbone.token_dim):
        yield f"embed answered {list(tokens.shape)}, not [3, {patches}, {backbone.token_dim}]"
        return
    for kept in (patches, 1, patches // 2):
        encoded = backbone.encode(tokens[:, :kept])
        if encoded.shape != (3, backbone.prefix_tokens + kept, backbone.token_dim):
            yield f"encode of {kept} patches answered {list(encoded.shape)}"


def attention_problems(backbone: Backbone, images: Tensor) -> Problems:
    if not isinstance(backbone, TokenBackbone):
        yield "it says that it provides attention but is no sslbench.TokenBackbone"
        return
    patches = backbone.grid[0] * backbone.grid[1]
    found = backbone.attention(images)
    if found.ndim != 3 or found.shape[0] != 3 or found.shape[2] != patches:
        yield f"attention answered {list(found.shape)}, not [3, heads, {patches}]"
    elif found.min() < 0 or found.sum(dim=-1).max() > 1 + 1e-4:
        yield "its attention is no share of 1: it is negative, or sums to more"


def of_method(spec: Spec, params: Any) -> Problems:
    assert isinstance(spec, MethodSpec)
    unknown = spec.uses - {"backbone", "augmentation", "masking"}
    if unknown:
        yield f"uses {', '.join(sorted(unknown))}, which is no axis"
    ratio = 0.75 if "masking" in spec.uses else None
    torch.manual_seed(0)
    backbone: Backbone | None = TinyTokenBackbone(SIZE) if "tokens" in spec.needs else TinyBackbone()
    if "backbone" not in spec.uses:
        backbone = None
    context = BuildContext(SIZE, classes=3, backbone=backbone, mask_ratio=ratio)
    method = spec.build(params, context)
    if not isinstance(method, Method):
        yield "build must answer a sslbench.Method"
        return
    method.eval()
    with torch.no_grad():
        size = method.input_spec.size if method.input_spec else SIZE
        features = method.encoder(torch.randn(4, 3, size, size))
    if features.ndim != 2 or len(features) != 4:
        yield f"the encoder answered {list(features.shape)} for 4 images, not [4, D]"
    if "reconstruction" in spec.provided(params):
        yield from reconstruction_problems(method)
    if spec.trains:
        yield from training_problems(method, ratio, spec.uses_labels)


def reconstruction_problems(method: Method) -> Problems:
    """At every usual ratio, whatever the method was built for, visible pixels must come back as they were."""
    if method.mask_grid is None:
        yield "it says that it provides reconstruction and has no mask_grid"
        return
    rows, cols = method.mask_grid
    images = torch.randn(4, 3, SIZE, SIZE)
    for ratio in (0.25, 0.5, 0.75):
        mask = torch.rand(4, rows * cols).argsort(dim=1) < masked_count(rows * cols, ratio)
        with torch.no_grad():
            painted = method.reconstruct(images, mask)
        if painted.shape != images.shape:
            yield f"reconstruct answered {list(painted.shape)} for {list(images.shape)}"
            return
        visible = ~mask.view(4, 1, rows, cols).repeat_interleave(SIZE // rows, 2).repeat_interleave(SIZE // cols, 3)
        if not torch.allclose(painted * visible, images * visible, atol=1e-5):
            yield f"ratio {ratio}: reconstruct changes visible pixels"


def training_problems(method: Method, ratio: float | None, uses_labels: bool = False) -> Problems:
    method.train()
    views = [torch.randn(4, 3, view.size, view.size) for view in method.views]
    if not views:
        yield "it trains but asks for no view"
        return
    mask = None
    if method.mask_grid is not None and ratio is not None:
        patches = method.mask_grid[0] * method.mask_grid[1]
        mask = torch.zeros(4, patches, dtype=torch.bool)
        mask[:, : masked_count(patches, ratio)] = True
    progress = Progress(0, 10, 0, 1)
    given = {"labels": torch.arange(4) % 3} if uses_labels else {}
    loss, scalars = method(views, mask=mask, progress=progress, **given)
    if loss.shape != () or not math.isfinite(loss.item()):
        yield f"the loss must be one finite number, not {loss.detach()!r}"
        return
    loss.backward()
    method.after_backward(progress)
    before = [p.detach().clone() for p in method.encoder.parameters()]
    torch.optim.SGD([{"params": group["params"]} for group in method.param_groups(0.1)], lr=0.1).step()
    method.after_step(progress)
    if all(torch.equal(was, p) for was, p in zip(before, method.encoder.parameters(), strict=True)):
        yield "a step of the optimizer does not change the encoder: no gradient reaches it"
    grouped = {id(p) for group in method.param_groups(0.1) for p in group["params"]}
    missing = [name for name, p in method.named_parameters() if p.grad is not None and id(p) not in grouped]
    if missing:
        yield f"param_groups leaves out {missing[0]}"
    if any(value.requires_grad for value in scalars.values()):
        yield "logged scalars must be detached"

    def forward(gpu: PretendedGpu) -> list[Tensor]:
        gpu.take(method)
        there = [without_numbers(tensor) for tensor in views]
        hidden = None if mask is None else without_numbers(mask)
        labels = {name: without_numbers(tensor) for name, tensor in given.items()}
        loss, _ = method(there, mask=hidden, progress=progress, **labels)
        method.after_step(progress)
        return [loss, *method.state_dict().values()]

    yield from of_gpu(forward, "forward")
