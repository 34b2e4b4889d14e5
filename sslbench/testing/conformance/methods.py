"""Methods: a loss that trains the encoder, from what the method is given and nothing else."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn

from sslbench.contracts.backbone import Backbone
from sslbench.contracts.masking import MaskRequest, MaskRole, masked_count
from sslbench.contracts.method import Method, Progress
from sslbench.errors import UserError
from sslbench.testing.conformance.backbones import features, images_of
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.draws import differ
from sslbench.testing.conformance.modules import changed, frozen_in, modes_of, relative, seeded, state_of
from sslbench.testing.conformance.problem import SIZE, Problems
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench.train.masks import draw_masks

PROGRESS = Progress(0, 10, 0, 1)
BATCH = 4
BATCHES = (BATCH, 8, 16, 32)
"""sizes that are tried, until the method takes one"""
RATIO = 0.75
LOSS = "One step's loss (a scalar to minimise) and scalars worth logging, detached"
ENCODER = "normalised float ``[B, 3, S, S]`` -> features ``[B, D]``"
Inputs = tuple[list[Tensor], dict[str, Any]]


def ratio_of(trial: Trial) -> float | None:
    """Share of the patches that are masked."""
    return RATIO if "masking" in trial.spec.uses else None


def tiny_backbone(trial: Trial) -> Backbone | None:
    """A new one that the method works on, one of whose parameters is frozen; None where it uses none."""
    if "backbone" not in trial.spec.uses:
        return None
    backbone: Backbone = TinyTokenBackbone(SIZE) if "tokens" in trial.spec.needs else TinyBackbone()
    next(backbone.parameters()).requires_grad_(False)
    return backbone


def build(trial: Trial, backbone: Backbone | None = None) -> Method:
    """A new one on a tiny backbone, initialised from torch's global generator."""
    backbone = tiny_backbone(trial) if backbone is None else backbone
    fixed = frozen_in(backbone) if backbone else set()
    built: Method = trial.build(image_size=SIZE, classes=3, mask_ratio=ratio_of(trial), backbone=backbone)
    if isinstance(built, Method):
        built.fixed = frozenset(fixed)
    return built


def method(trial: Trial, seed: int = 0) -> Method:
    """A new one, as a seed initialises it."""
    with seeded(seed):
        return build(trial)


def method_of(trial: Trial) -> Method:
    """The one whose encoder is tried."""
    trial.subject = method(trial)
    return trial.subject  # type: ignore[no-any-return]


def batch_of(trial: Trial) -> int:
    """A small size of batch that the method takes. Raises UserError where there is none."""
    built = method(trial)
    for batch in BATCHES:
        try:
            built.check_batch(batch)
        except UserError:
            continue
        return batch
    built.check_batch(BATCHES[-1])
    return BATCHES[-1]


def inputs_of(trial: Trial, method: Method, batch: int = 0, seed: int = 0) -> Inputs:
    """Views, and what ``forward`` is given beside them; of so many images, or of a few."""
    batch = batch or trial.once(batch_of)
    generator = torch.Generator().manual_seed(seed)
    views = [torch.randn(batch, 3, view.size, view.size, generator=generator) for view in method.views]
    given: dict[str, Any] = {"masks": draw_masks(method, None, ratio_of(trial), batch, generator)}
    if trial.spec.uses_labels:
        given["labels"] = torch.arange(batch) % 3
    return views, given


def given_tensors(inputs: Inputs) -> dict[str, Tensor]:
    """All of them, by name."""
    named = {f"view {index}": view for index, view in enumerate(inputs[0])}
    for name, value in inputs[1].items():
        values = [value] if isinstance(value, Tensor) else value
        named |= {name if len(values) == 1 else f"{name} {index}": item for index, item in enumerate(values)}
    return named


def copied(inputs: Inputs, move: Any = torch.Tensor.clone) -> Inputs:
    """The same in memory of their own, or moved."""
    views, given = inputs
    kept = {
        name: move(value) if isinstance(value, Tensor) else [move(item) for item in value]
        for name, value in given.items()
    }
    return [move(view) for view in views], kept


def call(method: Method, inputs: Inputs, seed: int = 3) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Loss and scalars, with torch's generator seeded as before a step."""
    views, given = inputs
    with seeded(seed):
        found: tuple[Tensor, Mapping[str, Tensor]] = method(views, progress=PROGRESS, **given)
    return found


def optimizer_of(method: Method) -> torch.optim.Optimizer:
    """Plain SGD on its groups."""
    return torch.optim.SGD([{"params": group["params"]} for group in method.param_groups(0.1)], lr=0.1)


def step(method: Method, inputs: Inputs) -> Tensor:
    """One training step."""
    optimizer = optimizer_of(method)
    loss, _ = call(method, inputs)
    loss.backward()  # type: ignore[no-untyped-call]
    method.after_backward(PROGRESS)
    optimizer.step()
    method.after_step(PROGRESS)
    return loss


@check("method", "A way to train an encoder", gate=True, level="bounds")
def is_one(trial: Trial) -> Problems:
    """A ``sslbench.Method`` with views of the kinds that its spec names."""
    built = trial.once(method_of)
    if not isinstance(built, Method):
        yield "build must return a sslbench.Method"
        return
    if unknown := trial.spec.uses - {"backbone", "augmentation", "masking"}:
        yield f"uses {', '.join(sorted(unknown))}, which is no axis"
    if not isinstance(built.encoder, nn.Module):
        yield f"encoder is a {type(built.encoder).__name__}, not a torch module"
    if trial.spec.trains and not built.views:
        yield "it trains but asks for no view"
    if not trial.spec.trains and built.views:
        yield "it takes no training step and asks for views"


@check("method", "the kinds of view that it asks for", "views")
def views_are_named(trial: Trial) -> Problems:
    """Their kinds by ``view_kinds``, the same at each call, with a size."""
    views = trial.once(method_of).views
    if unnamed := {view.kind for view in views} - trial.spec.asked_views(trial.params):
        yield f"it asks for {', '.join(sorted(unnamed))} views, which its view_kinds do not name"
    if views != trial.once(method_of).views:
        yield "it asks for other views at each call"
    yield from (f"it asks for a view of {view.size!r} pixels" for view in views if not view.size >= 1)


@check("method", "The masks it wants of every image; empty for a method without masking", "masks", gate=True)
def masks_can_be_served(trial: Trial) -> Problems:
    """They are of views of the run's size, of known roles, and there is a grid for them."""
    built, masking = trial.once(method_of), "masking" in trial.spec.uses
    if not isinstance(built.masks, tuple) or not all(isinstance(request, MaskRequest) for request in built.masks):
        yield f"masks is {built.masks!r:.60}, not a tuple of MaskRequest"
        return
    if bool(built.masks) != masking and trial.spec.trains:
        yield f"its spec {'uses' if masking else 'does not use'} a masking, and it asks for {len(built.masks)} masks"
    if built.masks and built.mask_grid is None:
        yield "it asks for masks and has no mask_grid"
        return
    for request in built.masks:
        if trial.spec.trains and not 0 <= request.view < len(built.views):
            yield f"it asks for a mask of view {request.view}, and has {len(built.views)} views"
        if request.role not in get_args(MaskRole):
            yield f"it asks for a mask of role {request.role!r}; allowed: {', '.join(get_args(MaskRole))}"
        if not (0 < request.share <= 1 and 0 <= request.spread < 1):
            yield f"it asks for share {request.share} and spread {request.spread}; allowed: (0, 1] and [0, 1)"


@check("method", ENCODER, "encoder", level="bounds")
def features_of_the_encoder(trial: Trial) -> Problems:
    """Shape and dtype in eval mode, the same for an image in any batch."""
    built = trial.once(method_of).eval()
    images = images_of(BATCH, built.input_spec.size if built.input_spec else SIZE)
    before = state_of(built)
    found = features(built.encoder, images)
    if found.ndim != 2 or len(found) != BATCH:
        yield f"the encoder returned {list(found.shape)} for {BATCH} images, not [{BATCH}, D]"
        return
    if found.dtype != torch.float32:
        yield f"features are {found.dtype}, not torch.float32"
    if relative(features(built.encoder, images[:1]), found[:1]) > 1e-3:
        yield "in eval mode the features of an image depend on the rest of the batch"
    if differ(found, features(built.encoder, images)):
        yield "in eval mode the features of the same images differ from call to call"
    if names := changed(before, state_of(built)):
        yield f"its encoder changes {names[0]} in eval mode"
    if any(modes_of(built).values()):
        yield "in eval mode a part of it stays in training mode"


@check("method", "A copy of what was trained", "encoder", level="defaults")
def encoders_can_be_copied(trial: Trial) -> Problems:
    """As evaluators that train on copy them."""
    built = trial.once(method_of).eval()
    images = images_of(2, built.input_spec.size if built.input_spec else SIZE)
    if differ(features(copy.deepcopy(built.encoder), images), features(built.encoder, images)):
        yield "a copy of its encoder has other features"


@check("method", "images whose masked patches it predicts and whose visible ones", "reconstruct")
def reconstructions_keep_what_is_visible(trial: Trial) -> Problems:
    """At every usual ratio, whatever the method was built for."""
    if "reconstruction" not in trial.spec.provided(trial.params):
        return
    built = trial.once(method_of).eval()
    if built.mask_grid is None:
        yield "it says that it provides reconstruction and has no mask_grid"
        return
    rows, cols = built.mask_grid
    images = images_of(BATCH, SIZE)
    for ratio in (0.25, 0.5, 0.75):
        generator = torch.Generator().manual_seed(0)
        mask = torch.rand(BATCH, rows * cols, generator=generator).argsort(dim=1) < masked_count(rows * cols, ratio)
        with torch.no_grad():
            found = built.reconstruct(images.clone(), mask)
        if found.shape != images.shape:
            yield f"reconstruct returned {list(found.shape)} for {list(images.shape)}"
            return
        visible = ~mask.view(BATCH, 1, rows, cols).repeat_interleave(SIZE // rows, 2).repeat_interleave(SIZE // cols, 3)
        if not torch.allclose(found * visible, images * visible, atol=1e-5):
            yield f"ratio {ratio}: reconstruct changes visible pixels"


@check("method", LOSS, "forward", level="bounds")
def loss_is_one_finite_number(trial: Trial) -> Problems:
    """Of a usual batch, of others that ``check_batch`` takes, and of blank images."""
    if not trial.spec.trains:
        return
    size = trial.once(batch_of)
    for words, batch in (("", size), (" of 3 images", 3), (" of 2 images", 2), (" of blank images", size)):
        built = method(trial).train()
        try:
            built.check_batch(batch)
        except UserError:
            continue
        views, given = inputs_of(trial, built, batch)
        views = [torch.zeros_like(view) for view in views] if "blank" in words else views
        loss, scalars = call(built, (views, given))
        if not isinstance(loss, Tensor) or loss.shape != () or not math.isfinite(loss.item()):
            seen = repr(loss.detach() if isinstance(loss, Tensor) else loss)
            yield f"the loss{words} must be one finite number, not {seen:.80}"
        elif loss.dtype != torch.float32:
            yield f"the loss{words} is {loss.dtype}, not torch.float32"
        elif wrong := wrong_scalars(scalars):
            yield wrong
        else:
            continue
        return


def wrong_scalars(scalars: Any) -> str:
    """What is wrong with what a method logs, if anything."""
    if not isinstance(scalars, Mapping):
        return f"its scalars are a {type(scalars).__name__}, not a mapping from names to tensors"
    for name, value in scalars.items():
        if not isinstance(value, Tensor):
            return f"scalar {name!r} is a {type(value).__name__}, not a tensor"
        if value.requires_grad:
            return f"logged scalars must be detached; {name!r} is not"
        if value.numel() != 1:
            return f"scalar {name!r} is of shape {list(value.shape)}, not one number"
    return ""
