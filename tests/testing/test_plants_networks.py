"""Backbones and methods with one mistake each; a good one of each has none."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sslbench import Backbone, BackboneSpec, Method, MethodParams, MethodSpec, Params, ViewRequest, param
from sslbench.testing.fakes import TinyTokenBackbone
from tests.testing.plants import assert_named, faults, marked


class Net(Backbone):
    """A convolution, batch norm, a linear layer."""

    def __init__(self):
        super().__init__()
        self.feature_dim = 8
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.out = nn.Linear(8, 8)

    def forward(self, images):
        return self.out(self.net(images).mean(dim=(2, 3)))


class LeftBehind(Net):
    def __init__(self):
        super().__init__()
        self.shift = torch.full((8,), 0.1)

    def forward(self, images):
        return super().forward(images) + self.shift


class Unsaved(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("projection", torch.randn(8, 8), persistent=False)

    def forward(self, images):
        return super().forward(images) @ self.projection.to(
            torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        )


class Counting(Net):
    """A Python float as state: what an exact resume loses."""

    def __init__(self):
        super().__init__()
        self.momentum = 1.0

    def forward(self, images):
        if self.training:
            self.momentum *= 0.5
        return super().forward(images) * (1 + self.momentum if self.training else 1.0)


class Dropping(Net):
    def forward(self, images):
        return functional.dropout(super().forward(images), 0.5, training=True)


class BatchNormed(Net):
    def forward(self, images):
        found = super().forward(images)
        return found - found.mean(dim=0)


class ByPlace(Net):
    def forward(self, images):
        found = super().forward(images)
        return found + 0.5 * torch.arange(len(found), device=found.device)[:, None].div(8).sign()


class InPlace(Net):
    def forward(self, images):
        return super().forward(images.mul_(0.5))


class Double(Net):
    def forward(self, images):
        return super().forward(images).double()


class Spatial(Net):
    def forward(self, images):
        return self.net(images)


class Viewing(Net):
    def forward(self, images):
        return self.net(images).view(len(images), -1)[:, :8]


class Full(Net):
    """A sum in place with a tensor that is not of autocast's type."""

    def forward(self, images):
        found = super().forward(images)
        return torch.zeros(found.shape, device=found.device).index_add(0, torch.arange(len(found)), found)


class Detached(Net):
    def forward(self, images):
        return super().forward(images).detach()


class StaysInTraining(Net):
    def train(self, mode=True):
        return super().train(True)


class EvalForever(Net):
    def forward(self, images):
        self.net.eval()
        return super().forward(images)


class Thaws(Net):
    def __init__(self):
        super().__init__()
        self.out.requires_grad_(False)

    def forward(self, images):
        self.requires_grad_(True)
        return super().forward(images)


class Seeding(Net):
    def __init__(self):
        torch.manual_seed(0)
        super().__init__()


class ByNumpy(Net):
    def __init__(self):
        super().__init__()
        self.out.weight.data = torch.tensor(np.random.default_rng().normal(size=(8, 8)), dtype=torch.float32)


class ByPython(Net):
    def __init__(self):
        super().__init__()
        self.out.weight.data *= random.random()


class WrongDim(Net):
    def __init__(self):
        super().__init__()
        self.feature_dim = 16


SHARED = nn.Linear(8, 8)


class Shared(Net):
    def __init__(self):
        super().__init__()
        self.out = SHARED


ONE = Net()

BACKBONES = [
    (LeftBehind, "forward on a GPU: Expected all tensors to be on the same device"),
    (Unsaved, "its state_dict does not hold all that its features depend on"),
    (Counting, "a training that was interrupted and went on ends with another"),
    (Dropping, "in eval mode the features of the same images differ from call to call"),
    (BatchNormed, "in eval mode the features of an image depend on the rest of the batch"),
    (ByPlace, "in eval mode the features of an image depend on its place in the batch"),
    (InPlace, "it changes the images that it is given"),
    (Double, "features are torch.float64, not torch.float32"),
    (Spatial, "features [3, 8, 16, 16], not [3, feature_dim = 8]"),
    (Viewing, "raised RuntimeError: view size is not compatible"),
    (Full, "raised RuntimeError"),
    (Detached, "no gradient can reach its parameters"),
    (StaysInTraining, "eval() leaves a part of it in training mode"),
    (EvalForever, "a call leaves it in another mode"),
    (Thaws, "a call changes which parameters need a gradient"),
    (Seeding, "build sets torch's global seed"),
    (ByNumpy, "built twice with one seed, out.weight differs"),
    (ByPython, "it drew from Python's global generator"),
    (WrongDim, "features [3, 8], not [3, feature_dim = 16]"),
    (Shared, "two that are built share the memory of out.weight"),
    (lambda: ONE, "build returns the same object every time"),
    (nn.Identity, "build must return a sslbench.Backbone"),
]


def backbone(make, **more):
    return BackboneSpec(name="b", summary="A b.", build=lambda params, context: make(), **more)


def test_a_good_backbone_has_no_fault():
    assert faults(backbone(Net)) == []


@pytest.mark.parametrize(("make", "words"), marked(BACKBONES), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_backbone_is_named(make, words):
    assert_named(backbone(make), words, __file__)


class Tokens(TinyTokenBackbone):
    def __init__(self):
        super().__init__(32)


class OtherPool(Tokens):
    def forward(self, images):
        return self.encode(self.embed(images))[:, 0]


class NoPrefix(Tokens):
    def encode(self, tokens, **more):
        return super().encode(tokens, **more)[:, 1:]


class AllPatches(Tokens):
    def encode(self, tokens, **more):
        return super().encode(nn.functional.pad(tokens, (0, 0, 0, 64 - tokens.shape[1])), **more)


class OneBlock(Tokens):
    def encode(self, tokens, *, patches=None, blocks=1):
        return super().encode(tokens, patches=patches, blocks=1)


class FirstBlock(Tokens):
    def encode(self, tokens, *, patches=None, blocks=1):
        found = super().encode(tokens, patches=patches, blocks=blocks)
        return torch.cat(found.split(self.token_dim, dim=2)[::-1], dim=2)


class OwnGrid(Tokens):
    def positions(self, grid):
        return super().positions(self.grid)

    def embed(self, images):
        return self.project(images).flatten(2).transpose(1, 2)


class Scores(Tokens):
    def attention(self, images):
        return super().attention(images) - 1


class Nothing(Tokens):
    def attention(self, images):
        return 0 * super().attention(images)


class Headless(Tokens):
    def attention(self, images):
        return super().attention(images)[:, :0]


TOKENS = [
    (OtherPool, "forward(images) is not pool(encode(embed(images)))"),
    (NoPrefix, "encode of 64 patches, blocks=1, returned [3, 64, 16]"),
    (AllPatches, "encode of 1 patches, blocks=1, returned [3, 65, 16]"),
    (OneBlock, "encode of 64 patches, blocks=2, returned [3, 65, 16]"),
    (FirstBlock, "encode(blocks=2) does not end with what the last block returns"),
    (OwnGrid, "positions of 10 x 9 patches returned [64, 16], not [90, 16]"),
    (Scores, "its attention is no share of 1"),
    (Nothing, "its attention is zero everywhere"),
    (Headless, "attention returned [3, 0, 64], not [3, heads, 64]"),
    (Net, "it says that it provides tokens but is no sslbench.TokenBackbone"),
]


@pytest.mark.parametrize(("make", "words"), marked(TOKENS), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_token_backbone_is_named(make, words):
    found = faults(backbone(make, provides=frozenset({"tokens", "attention"})))
    assert any(words in fault.text for fault in found), [fault.text for fault in found]


class Agree(Method):
    """Two views alike, and all images spread out."""

    def __init__(self, params, context):
        super().__init__()
        self.backbone, self.size, self.params = context.backbone, context.image_size, params
        self.head = nn.Linear(context.backbone.feature_dim, 8)
        self.register_buffer("centre", torch.zeros(8))

    @property
    def views(self):
        return (ViewRequest("global", self.size),) * 2

    @property
    def encoder(self):
        return self.backbone

    def embedded(self, views):
        return [functional.normalize(self.head(self.backbone(view)).float() - self.centre, dim=1) for view in views]

    def loss(self, first, second):
        logits = first @ second.T / self.params.temperature
        return functional.cross_entropy(logits, torch.arange(len(first), device=first.device))

    def forward(self, views, *, masks, progress):
        first, second = self.embedded(views)
        self.last = first.detach().mean(dim=0)
        loss = self.loss(first, second)
        return loss, {"length": first.detach().norm(dim=1).mean()}

    def after_step(self, progress):
        self.centre.lerp_(self.last, 0.1)


class HalfLoss(Agree):
    def embedded(self, views):
        return [self.head(self.backbone(view)) for view in views]

    def loss(self, first, second):
        return (first - second).square().mean() + first.mean()


class FloatState(Agree):
    def __init__(self, params, context):
        super().__init__(params, context)
        self.weight = 1.0

    def loss(self, first, second):
        return super().loss(first, second) * self.weight

    def after_step(self, progress):
        super().after_step(progress)
        self.weight *= 0.9


class TensorState(Agree):
    def __init__(self, params, context):
        super().__init__(params, context)
        self.register_buffer("mean", torch.zeros(8), persistent=False)

    def embedded(self, views):
        return [functional.normalize(one + self.mean, dim=1) for one in super().embedded(views)]

    def after_step(self, progress):
        super().after_step(progress)
        self.mean += self.last


class ChangesViews(Agree):
    def embedded(self, views):
        views[0].add_(0.1)
        return super().embedded(views)


class Numpys(Agree):
    def loss(self, first, second):
        return super().loss(first, second) * float(np.random.rand())


class Pythons(Agree):
    def loss(self, first, second):
        return super().loss(first, second) * random.random()


class OwnGenerator(Agree):
    def loss(self, first, second):
        return super().loss(first, second) * float(np.random.default_rng().random())


class NotANumber(Agree):
    """No eps in the norm."""

    def embedded(self, views):
        found = [self.backbone(view).float() for view in views]
        found = [one - one.mean(dim=0) for one in found]
        return [one / one.norm(dim=1, keepdim=True) for one in found]


class OfEach(Agree):
    def loss(self, first, second):
        return (first - second).square().mean(dim=1)


class Item(Agree):
    def forward(self, views, *, masks, progress):
        loss, scalars = super().forward(views, masks=masks, progress=progress)
        return loss, {"length": float(scalars["length"])}


class Attached(Agree):
    def forward(self, views, *, masks, progress):
        loss, _ = super().forward(views, masks=masks, progress=progress)
        return loss, {"loss": loss}


class Cut(Agree):
    def embedded(self, views):
        return [functional.normalize(self.head(self.backbone(view).detach()).float(), dim=1) for view in views]


class Forgets(Agree):
    def param_groups(self, weight_decay):
        return [{"params": list(self.backbone.parameters()), "weight_decay": weight_decay}]


class Twice(Agree):
    def param_groups(self, weight_decay):
        return [*super().param_groups(weight_decay), {"params": list(self.head.parameters())}]


class LeavesEval(Agree):
    def embedded(self, views):
        self.backbone.eval()
        return super().embedded(views)


class Freezes(Agree):
    def embedded(self, views):
        self.head.requires_grad_(False)
        return super().embedded(views)


class Thawed(Agree):
    def __init__(self, params, context):
        super().__init__(params, context)
        self.requires_grad_(True)


class QueueOnCpu(Agree):
    def __init__(self, params, context):
        super().__init__(params, context)
        self.queue = torch.randn(4, 8)

    def loss(self, first, second):
        return super().loss(first, second) + (first @ self.queue.T).mean()


class UpdatesInForward(Agree):
    def embedded(self, views):
        self.head.weight.data.mul_(0.99)
        return super().embedded(views)


class TrainedEncoder(Agree):
    @property
    def encoder(self):
        return nn.Sequential(self.backbone, nn.Dropout(0.5).train())


class Local(Agree):
    @property
    def views(self):
        return (ViewRequest("global", self.size), ViewRequest("local", self.size // 2))


class Lazy(Agree):
    """A layer that is made at the first call, so that a checkpoint does not fit."""

    def embedded(self, views):
        if not hasattr(self, "late"):
            self.late = nn.Linear(8, 8).to(views[0].device)
        return [functional.normalize(self.late(one), dim=1).float() for one in super().embedded(views)]


class StepsItself(Agree):
    def loss(self, first, second):
        loss = super().loss(first, second)
        loss.backward(retain_graph=True)
        return loss


CALLS = []


class Module(Agree):
    def loss(self, first, second):
        CALLS.append(1)
        return super().loss(first, second) * len(CALLS)


METHODS = [
    (HalfLoss, "under autocast the loss is torch.bfloat16, not torch.float32"),
    (FloatState, "a training that was interrupted and went on ends with another"),
    (TensorState, "a training that was interrupted and went on ends with another"),
    (ChangesViews, "it changes view 0 that it is given"),
    (Numpys, "it drew from NumPy's global generator"),
    (Pythons, "it drew from Python's global generator"),
    (OwnGenerator, "its loss is not the same for the same views, weights and seed"),
    (Module, "its loss is not the same for the same views, weights and seed"),
    (NotANumber, "the loss of blank images must be one finite number"),
    (OfEach, "the loss must be one finite number"),
    (Item, "scalar 'length' is a float, not a tensor"),
    (Attached, "logged scalars must be detached; 'loss' is not"),
    (Cut, "no gradient reaches it"),
    (Forgets, "param_groups leaves out head.weight"),
    (Twice, "param_groups has head.weight twice"),
    (LeavesEval, "forward leaves a part of it in another mode"),
    (Freezes, "forward changes which parameters need a gradient"),
    (Thawed, "it trains a parameter that the backbone had frozen"),
    (QueueOnCpu, "forward on a GPU: Expected all tensors to be on the same device"),
    (StepsItself, "forward leaves a gradient in"),
    (UpdatesInForward, "forward changes the parameter head.weight"),
    (TrainedEncoder, "in eval mode the features of"),
    (Local, "it asks for local views, which its view_kinds do not name"),
    (Lazy, "a training that was interrupted does not go on"),
]


class Temperature(MethodParams):
    temperature: float = param(0.2, "of the softmax", ge=0)


def method(make, **more):
    return MethodSpec(name="m", summary="An m.", params=Temperature, build=make, **more)


def test_a_good_method_has_no_fault():
    assert faults(method(Agree)) == []


@pytest.mark.parametrize(("make", "words"), marked(METHODS), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_method_is_named(make, words):
    assert_named(method(make), words, __file__)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"uses": frozenset({"backbone", "augmentation", "masking"})},
            "its spec uses a masking, and it asks for 0 masks",
        ),
        ({"augmentation": "simcrl"}, "its augmentation: unknown augmentation 'simcrl'; did you mean 'simclr'?"),
        ({"needs": frozenset({"token"})}, "it needs 'token', which no plugin provides; did you mean 'tokens'?"),
        ({"uses": frozenset({"backbones", "backbone", "augmentation"})}, "uses backbones, which is no axis"),
    ],
)
def test_what_the_spec_of_a_method_states_is_checked(more, words):
    assert any(words in fault.text for fault in faults(method(Agree, **more)))


def test_parameters_without_an_optimizer_are_named():
    spec = MethodSpec(name="m", summary="An m.", params=Params, build=lambda p, c: Agree(Temperature(), c))
    assert any("its parameters are no MethodParams" in fault.text for fault in faults(spec))
