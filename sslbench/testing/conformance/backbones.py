"""Backbones: features that depend on the image and the weights alone, in every precision and layout."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sslbench.contracts.backbone import Backbone
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.draws import differ
from sslbench.testing.conformance.modules import changed, frozen_in, modes_of, relative, seeded, state_of
from sslbench.testing.conformance.problem import Problems, gpu_problems
from sslbench.testing.pretended_gpu import PretendedGpu, without_numbers

SIDE = 32
"""side of the images that backbones are tried on, pixels"""
FEATURES = "Normalised float ``[B, 3, S, S]`` -> ``[B, feature_dim]``"
ALONE = "**In eval mode, features depend on the image and the weights alone**"
HALF = "**Half precision**: the loop runs ``forward`` in autocast"
STATE = "**State** that a resume needs is in the method's ``state_dict()``"
CLOSE, CLOSE_IN_HALF = 1e-3, 0.1
"""relative differences that rounding explains"""


def images_of(count: int = 3, side: int = SIDE, seed: int = 0) -> Tensor:
    """Normalised float ``[B, 3, S, S]``."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def build(trial: Trial) -> Backbone:
    """A new one, initialised from torch's global generator."""
    built: Backbone = trial.build(image_size=SIDE)
    return built


def network(trial: Trial, seed: int = 0) -> Backbone:
    """A new one, as a seed initialises it, in eval mode."""
    with seeded(seed):
        built = build(trial)
    return built.eval() if isinstance(built, nn.Module) else built


def network_of(trial: Trial) -> Backbone:
    """The one that is tried."""
    trial.subject = network(trial)
    return trial.subject  # type: ignore[no-any-return]


@torch.no_grad()
def features(backbone: nn.Module, images: Tensor) -> Tensor:
    """Of images, without a gradient."""
    found: Tensor = backbone(images)
    return found


@check("backbone", "A network that turns images into features", gate=True, level="bounds")
def is_one(trial: Trial) -> Problems:
    """A ``sslbench.Backbone`` that says how long its features are."""
    built = trial.once(network_of)
    if not isinstance(built, Backbone):
        yield "build must return a sslbench.Backbone"
    elif not isinstance(getattr(built, "feature_dim", None), int):
        yield "it has no feature_dim, the length of a feature vector"


@check("backbone", FEATURES, "forward", gate=True, level="bounds")
def shape_and_dtype(trial: Trial) -> Problems:
    """Of three images and of one."""
    backbone = trial.once(network_of)
    for count in (3, 1):
        found = features(backbone, images_of(count))
        if not isinstance(found, Tensor) or found.shape != (count, backbone.feature_dim):
            seen = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            yield f"features {seen}, not [{count}, feature_dim = {backbone.feature_dim}]"
        elif found.dtype != torch.float32:
            yield f"features are {found.dtype}, not torch.float32"
        elif not bool(found.isfinite().all()):
            yield "features are not finite"
        else:
            continue
        return


@check("backbone", ALONE, "forward")
def features_of_an_image_alone(trial: Trial) -> Problems:
    """Not on the batch, nor on a random number, nor on what came before."""
    backbone = trial.once(network_of)
    images = images_of()
    first = features(backbone, images)
    with seeded(5):
        again = features(backbone, images)
    if differ(first, again):
        yield "in eval mode the features of the same images differ from call to call"
    elif relative(features(backbone, images[:1]), first[:1]) > CLOSE:
        yield "in eval mode the features of an image depend on the rest of the batch"
    elif relative(features(backbone, images.flip(0)).flip(0), first) > CLOSE:
        yield "in eval mode the features of an image depend on its place in the batch"


@check("backbone", "**A call changes nothing but batch statistics**", "forward")
def a_call_changes_nothing(trial: Trial) -> Problems:
    """Its images, weights, mode, and what is frozen."""
    backbone, images = network(trial), images_of()  # one that was not called before
    before = state_of(backbone), modes_of(backbone), frozen_in(backbone)
    features(backbone, images)
    if differ(images, images_of()):
        yield "it changes the images that it is given"
    if names := changed(before[0], state_of(backbone)):
        yield f"a call in eval mode changes {names[0]}"
    backbone.train()
    training = modes_of(backbone)
    backbone(images)
    if modes_of(backbone) != training:
        yield "a call leaves it in another mode"
    backbone.eval()
    if any(modes_of(backbone).values()):
        yield "eval() leaves a part of it in training mode"
    if frozen_in(backbone) != before[2]:
        yield "a call changes which parameters need a gradient"


@check("backbone", "``encoder``, a network that can be trained on, is provided by all", "forward")
def it_can_be_trained(trial: Trial) -> Problems:
    """A gradient reaches what is not frozen."""
    backbone = copy.deepcopy(trial.once(network_of)).train()
    trained = [(name, p) for name, p in backbone.named_parameters() if p.requires_grad]
    if not trained:
        return
    found = backbone(images_of(4))
    if not found.requires_grad:
        yield "in training mode no gradient can reach its parameters"
        return
    (found * torch.linspace(-1, 1, found.shape[1])).square().mean().backward()
    if all(p.grad is None or not bool(p.grad.any()) for _, p in trained):
        yield "no gradient reaches its parameters"


@check("backbone", HALF, "forward")
def half_precision(trial: Trial) -> Problems:
    """On the CPU, in bf16."""
    backbone, images = trial.once(network_of), images_of()
    with torch.autocast("cpu", torch.bfloat16):
        half = features(backbone, images)
    off = relative(half, features(backbone, images))
    if not off < CLOSE_IN_HALF:
        yield f"in bf16 its features are off by {off:.2g} of their length"


@check("backbone", "lays convolutions out channels last", "forward")
def other_layouts(trial: Trial) -> Problems:
    """Channels last, as the loop lays it out."""
    backbone, images = trial.once(network_of), images_of()
    other = copy.deepcopy(backbone).to(memory_format=torch.channels_last)
    if relative(features(other, images), features(backbone, images)) > CLOSE:
        yield "its features are others when it is laid out channels last"


@check("backbone", STATE, "forward")
def all_that_counts_is_in_its_state(trial: Trial) -> Problems:
    """One of another seed, given its state, has the same features."""
    backbone, other, images = trial.once(network_of), network(trial, seed=1), images_of()
    other.load_state_dict(backbone.state_dict())
    if relative(features(other, images), features(backbone, images)) > CLOSE:
        yield "its state_dict does not hold all that its features depend on: loaded into another one they differ"


@check("backbone", "moves modules there itself", "forward")
def on_a_gpu(trial: Trial) -> Problems:
    """On a pretended one."""
    backbone = copy.deepcopy(trial.once(network_of))

    def forward(gpu: PretendedGpu) -> Sequence[Tensor]:
        gpu.take(backbone)
        return [backbone(without_numbers(images_of()))]

    yield from gpu_problems(forward, "forward")


@check("backbone", "The same network, with the same weights and features, as plain timm builds it", "as_timm")
def as_timm(trial: Trial) -> Problems:
    """Where timm has it."""
    import timm

    backbone = trial.once(network_of)
    if (model := backbone.as_timm()) is None:
        return
    plain = timm.create_model(model.architecture, num_classes=0, **model.arguments).eval()
    plain.load_state_dict(dict(model.weights))
    if relative(features(plain, images_of()), features(backbone, images_of())) > CLOSE:
        yield f"timm's {model.architecture} with its weights has other features"
