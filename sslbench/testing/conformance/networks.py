"""Backbones and methods: shapes of what they return, and that a step trains."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.backbone import Backbone, BackboneSpec, TokenBackbone
from sslbench.contracts.masking import masked_count
from sslbench.contracts.method import Method, MethodSpec, Progress
from sslbench.contracts.plugin import BuildContext
from sslbench.testing.conformance.problem import SIZE, Problems, gpu_problems
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench.testing.pretended_gpu import PretendedGpu, without_numbers
from sslbench.train.masks import draw_masks

SIDE = 32
"""side of the images that backbones are tried on, pixels"""
PROGRESS = Progress(0, 10, 0, 1)


def of_backbone(spec: BackboneSpec, params: Any) -> Problems:
    """Features of three images, and tokens and attention where the spec promises them."""
    backbone = spec.build(params, BuildContext(image_size=SIDE))
    if not isinstance(backbone, Backbone):
        yield "build must return a sslbench.Backbone"
        return
    backbone.eval()
    images = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone(images)
        if features.shape != (3, backbone.feature_dim):
            yield f"features {list(features.shape)}, not [3, feature_dim = {backbone.feature_dim}]"
        elif not torch.allclose(features[:1], backbone(images[:1]), atol=1e-4):
            yield "in eval mode the features of an image depend on the rest of the batch"
        for name, problems_of in (("tokens", token_problems), ("attention", attention_problems)):
            if name in spec.provided(params):
                if isinstance(backbone, TokenBackbone):
                    yield from problems_of(backbone, images)
                else:
                    yield f"it says that it provides {name} but is no sslbench.TokenBackbone"


def token_problems(backbone: TokenBackbone, images: Tensor) -> Problems:
    """Tokens of all patches and of some."""
    patches = backbone.grid[0] * backbone.grid[1]
    tokens = backbone.embed(images)
    if tokens.shape != (3, patches, backbone.token_dim):
        yield f"embed returned {list(tokens.shape)}, not [3, {patches}, {backbone.token_dim}]"
        return
    if backbone.positions(backbone.grid).shape != (patches, backbone.token_dim):
        yield f"positions returned {list(backbone.positions(backbone.grid).shape)}, not [{patches}, token_dim]"
    for kept in (patches, 1, patches // 2):
        indices = torch.arange(kept).expand(3, -1)
        for blocks in (1, 2):
            encoded = backbone.encode(tokens[:, :kept], patches=indices, blocks=blocks)
            if encoded.shape != (3, backbone.prefix_tokens + kept, blocks * backbone.token_dim):
                yield f"encode of {kept} patches, blocks={blocks}, returned {list(encoded.shape)}"
    whole = backbone.encode(tokens)
    if not torch.allclose(backbone.pool(whole), backbone(images), atol=1e-4):
        yield "forward(images) is not pool(encode(embed(images)))"


def attention_problems(backbone: TokenBackbone, images: Tensor) -> Problems:
    """Shape of the attention, and that it is a share of 1."""
    patches = backbone.grid[0] * backbone.grid[1]
    attention = backbone.attention(images)
    if attention.ndim != 3 or attention.shape[0] != 3 or attention.shape[2] != patches:
        yield f"attention returned {list(attention.shape)}, not [3, heads, {patches}]"
    elif attention.min() < 0 or attention.sum(dim=-1).max() > 1 + 1e-4:
        yield "its attention is no share of 1: it is negative, or sums to more"


def of_method(spec: MethodSpec, params: Any) -> Problems:
    """The method on a tiny backbone: its encoder, its reconstruction if it has one, and a training step."""
    unknown = spec.uses - {"backbone", "augmentation", "masking"}
    if unknown:
        yield f"uses {', '.join(sorted(unknown))}, which is no axis"
    ratio = 0.75 if "masking" in spec.uses else None
    torch.manual_seed(0)
    backbone: Backbone = TinyTokenBackbone(SIZE) if "tokens" in spec.needs else TinyBackbone()
    fixed = next(backbone.parameters()).requires_grad_(False)
    context = BuildContext(SIZE, classes=3, mask_ratio=ratio, backbone=backbone if "backbone" in spec.uses else None)
    method = spec.build(params, context)
    if not isinstance(method, Method):
        yield "build must return a sslbench.Method"
        return
    method.eval()
    with torch.no_grad():
        size = method.input_spec.size if method.input_spec else SIZE
        features = method.encoder(torch.randn(4, 3, size, size))
    if features.ndim != 2 or len(features) != 4:
        yield f"the encoder returned {list(features.shape)} for 4 images, not [4, D]"
    if "reconstruction" in spec.provided(params):
        yield from reconstruction_problems(method)
    if spec.trains:
        if unnamed := {view.kind for view in method.views} - spec.asked_views(params):
            yield f"it asks for {', '.join(sorted(unnamed))} views, which its view_kinds do not name"
        before = fixed.detach().clone()
        yield from training_problems(method, ratio, spec.uses_labels)
        if "backbone" in spec.uses and (fixed.requires_grad or not torch.equal(before, fixed)):
            yield "it trains a parameter that the backbone had frozen"


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
            reconstruction = method.reconstruct(images, mask)
        if reconstruction.shape != images.shape:
            yield f"reconstruct returned {list(reconstruction.shape)} for {list(images.shape)}"
            return
        visible = ~mask.view(4, 1, rows, cols).repeat_interleave(SIZE // rows, 2).repeat_interleave(SIZE // cols, 3)
        if not torch.allclose(reconstruction * visible, images * visible, atol=1e-5):
            yield f"ratio {ratio}: reconstruct changes visible pixels"


def training_problems(method: Method, ratio: float | None, uses_labels: bool) -> Problems:
    """One step with plain SGD on random views, and a forward pass on a pretended GPU."""
    method.train()
    views = [torch.randn(4, 3, view.size, view.size) for view in method.views]
    masks = draw_masks(method, None, ratio, 4, torch.Generator().manual_seed(0))
    labels = {"labels": torch.arange(4) % 3} if uses_labels else {}
    if not views:
        yield "it trains but asks for no view"
        return
    loss, scalars = method(views, masks=masks, progress=PROGRESS, **labels)
    if loss.shape != () or not math.isfinite(loss.item()):
        yield f"the loss must be one finite number, not {loss.detach()!r}"
        return
    yield from step_problems(method, loss)
    if any(value.requires_grad for value in scalars.values()):
        yield "logged scalars must be detached"

    def forward(gpu: PretendedGpu) -> list[Tensor]:
        gpu.take(method)
        gpu_views, gpu_masks = ([without_numbers(tensor) for tensor in given] for given in (views, masks))
        gpu_labels = {name: without_numbers(tensor) for name, tensor in labels.items()}
        loss, _ = method(gpu_views, masks=gpu_masks, progress=PROGRESS, **gpu_labels)
        method.after_step(PROGRESS)
        return [loss, *method.state_dict().values()]

    yield from gpu_problems(forward, "forward")


def step_problems(method: Method, loss: Tensor) -> Problems:
    """Whether a gradient reaches the encoder, and the optimizer every parameter that has one."""
    loss.backward()  # type: ignore[no-untyped-call]
    method.after_backward(PROGRESS)
    before = [p.detach().clone() for p in method.encoder.parameters()]
    torch.optim.SGD([{"params": group["params"]} for group in method.param_groups(0.1)], lr=0.1).step()
    method.after_step(PROGRESS)
    if all(torch.equal(was, p) for was, p in zip(before, method.encoder.parameters(), strict=True)):
        yield "a step of the optimizer does not change the encoder: no gradient reaches it"
    grouped = {id(p) for group in method.param_groups(0.1) for p in group["params"]}
    missing = [name for name, p in method.named_parameters() if p.grad is not None and id(p) not in grouped]
    if missing:
        yield f"param_groups leaves out {missing[0]}"
