"""Augmentations and maskings with one mistake each; a good one of each has none."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from sslbench import AugmentationSpec, MaskingSpec, Params, centre_view, masked_count, param
from tests.testing.plants import assert_named, faults, marked

SHIFT = torch.full((3, 1, 1), 0.01)
BUFFER = {}


class Good:
    """Flips each image or not, and adds noise."""

    def __init__(self, params=None):
        self.calls = 0

    def view(self, index, kind, size):
        return lambda images, generator: self.make(images, generator, size)

    def make(self, images, generator, size):
        views = centre_view(images, size)
        flip = torch.rand(len(views), 1, 1, 1, generator=generator, device=views.device) < 0.5
        noise = torch.empty_like(views).normal_(generator=generator)
        return (torch.where(flip, views.flip(3), views) + 0.1 * noise).clamp(0, 1)


def batch_angle(self, images, generator, size):
    return Good.make(self, images, generator, size) * torch.rand(1, generator=generator, device=images.device)


def flips_all(self, images, generator, size):
    views = centre_view(images, size)
    return views.flip(3) if torch.rand((), generator=generator) < 0.5 else views


def numpys(self, images, generator, size):
    return centre_view(images, size) * float(np.random.rand())


def pythons(self, images, generator, size):
    return centre_view(images, size) * random.random()


def reseeds_numpy(self, images, generator, size):
    np.random.seed(0)
    return centre_view(images, size) * float(np.random.rand())


def torchs(self, images, generator, size):
    return centre_view(images, size) * torch.rand(len(images), 1, 1, 1, device=images.device)


def own_generator(self, images, generator, size):
    return centre_view(images, size) * float(np.random.default_rng().random())


def counts_calls(self, images, generator, size):
    self.calls += 1
    return centre_view(images, size) / self.calls


def whole_bytes(self, images, generator, size):
    return centre_view(images, size) * 255


def normalised(self, images, generator, size):
    return (centre_view(images, size) - 0.5) / 0.25


def half(self, images, generator, size):
    return centre_view(images, size).half()


def stretches(self, images, generator, size):
    views = centre_view(images, size)
    return (views - views.amin((1, 2, 3), keepdim=True)) / views.amax((1, 2, 3), keepdim=True)


def by_the_batch(self, images, generator, size):
    views = centre_view(images, size)
    return views / views.max().clamp_min(0.1)


def in_place(self, images, generator, size):
    views = centre_view(images, size)
    images.zero_()
    return views


def own_size(self, images, generator, size):
    return centre_view(images, 16)


def reuses_memory(self, images, generator, size):
    views = Good.make(self, images, generator, size)
    kept = BUFFER.setdefault(views.shape, torch.empty_like(views))
    return kept.copy_(views)


def on_the_cpu(self, images, generator, size):
    return centre_view(images, size).mul(0.9) + SHIFT


def sets_dtype(self, images, generator, size):
    torch.set_num_threads(3)
    return centre_view(images, size)


def catches_signals(self, images, generator, size):
    signal.signal(signal.SIGUSR1, lambda *_: None)
    return centre_view(images, size)


def by_numpy(self, images, generator, size):
    return centre_view(torch.from_numpy(images.numpy().copy()).to(images.device), size)


def drawn_on_the_cpu(self, images, generator, size):
    strength = torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device)
    return centre_view(images, size) * strength


def puts_back(self, images, generator, size):
    state = generator.get_state()
    view = Good.make(self, images, generator, size)
    generator.set_state(state)
    return view


def by_pairs(self, images, generator, size):
    light = torch.rand((len(images) + 1) // 2, 1, 1, 1, generator=generator, device=images.device)
    return centre_view(images, size) * light.repeat_interleave(2, dim=0)[: len(images)]


def spares_the_first(self, images, generator, size):
    light = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
    light[0] = 1
    return centre_view(images, size) * light


def ends_the_process(self, images, generator, size):
    os._exit(0)


AUGMENTATIONS = [
    (batch_angle, "it draws rand [1], the same for a batch of any size"),
    (flips_all, "six copies of one image look the same: one draw for the whole batch"),
    (numpys, "it drew from NumPy's global generator instead of the one it was given"),
    (pythons, "it drew from Python's global generator instead of the one it was given"),
    (reseeds_numpy, "it drew from NumPy's global generator"),
    (torchs, "it drew from torch's global generator instead of the one it was given"),
    (own_generator, "not the same for the same generator state"),
    (counts_calls, "not the same for the same generator state"),
    (whole_bytes, "not within 0..1"),
    (normalised, "not within 0..1"),
    (half, "not float32 [5, 3, 16, 16]"),
    (stretches, "values from nan to nan, not within 0..1"),
    (by_the_batch, "the view of an image depends on the other images of its batch"),
    (in_place, "it changed its input"),
    (own_size, "returned torch.float32 [5, 3, 16, 16], not float32 [5, 3, 24, 24]"),
    (reuses_memory, "its result changes when it is called again"),
    (by_numpy, "view 0 (global) on a GPU: can't convert cuda:0 device type tensor to numpy"),
    (drawn_on_the_cpu, "view 0 (global) on a GPU: Expected a 'cpu' device type for generator but found 'cuda'"),
    (puts_back, "two calls in a row with one generator draw the same"),
    (by_pairs, "the draws of images 0 and 1 of a batch are always the same"),
    (spares_the_first, "nothing is ever drawn for image 0 of a batch"),
    (ends_the_process, "raised EndsTheProcess: os._exit(0) ends the whole process"),
    (on_the_cpu, "on a GPU: Expected all tensors to be on the same device"),
    (sets_dtype, "it changed torch's number of threads, which the whole process shares"),
    (catches_signals, "it changed signal handlers, which the whole process shares"),
]


def augmentation(make):
    kind = type("Planted", (Good,), {"make": make, "view": Good.view})
    return AugmentationSpec(name="a", summary="An a.", build=lambda params, context: kind())


def seldom(self, images, generator, size):
    changed = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.02
    return torch.where(changed, 0.5, 1.0) * centre_view(images, size)


@pytest.mark.parametrize("make", [Good.make, seldom])
def test_a_good_augmentation_has_no_fault(make):
    assert faults(augmentation(make)) == []


@pytest.mark.parametrize(("make", "words"), marked(AUGMENTATIONS), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_augmentation_is_named(make, words):
    assert_named(augmentation(make), words, __file__)


@dataclass(frozen=True)
class InParts:
    """Each image times a number, in two parts."""

    size: int

    def __call__(self, images, generator):
        return self.apply(images, self.draw(len(images), images.shape[2:], generator))

    def draw(self, batch, image, generator):
        return torch.rand(batch, generator=generator, device=generator.device)

    def apply(self, images, drawn):
        return centre_view(images, self.size) * drawn.view(-1, 1, 1, 1)


class OtherCall(InParts):
    def __call__(self, images, generator):
        return super().__call__(images, generator) / 2


class BatchLast(InParts):
    def draw(self, batch, image, generator):
        return super().draw(batch, image, generator).expand(batch, -1)

    def apply(self, images, drawn):
        return centre_view(images, self.size) * drawn[0, : len(images)].view(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (InParts, ""),
        (OtherCall, "view 0 (global) of 16 x 16: apply(images, draw(...)) is another view than its call"),
        (BatchLast, "view 0 (global) of 16 x 16: apply of two images is not what it is of their batch"),
    ],
)
def test_a_transform_in_two_parts_is_one_view(transform, words):
    class Views:
        def view(self, index, kind, size):
            return transform(size)

    spec = AugmentationSpec(name="a", summary="An a.", build=lambda params, context: Views())
    found = faults(spec)
    assert (words in str(found)) if words else found == []


class Random:
    """Patches at random."""

    def sample(self, batch, grid, ratio, generator):
        noise = torch.rand(batch, grid[0] * grid[1], generator=generator, device=generator.device)
        return noise.argsort(dim=1).argsort(dim=1) < masked_count(grid[0] * grid[1], ratio)


class OneForAll(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample(1, grid, ratio, generator).expand(batch, -1)


class RolledRows(Random):
    def sample(self, batch, grid, ratio, generator):
        one = super().sample(1, grid, ratio, generator)[0]
        return torch.stack([one.roll(row) for row in range(batch)])


class Numpys(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample(batch, grid, ratio, torch.Generator().manual_seed(int(np.random.randint(99))))


class Seedless(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample(batch, grid, ratio, torch.Generator())


class Torchs(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample(batch, grid, ratio, torch.default_generator)


class Rounded(Random):
    def sample(self, batch, grid, ratio, generator):
        noise = torch.rand(batch, grid[0] * grid[1], generator=generator, device=generator.device)
        return noise.argsort(dim=1).argsort(dim=1) < round(grid[0] * grid[1] * ratio)


class Visible(Random):
    def sample(self, batch, grid, ratio, generator):
        return ~super().sample(batch, grid, ratio, generator)


class Numbers(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample(batch, grid, ratio, generator).float()


class Square(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample(batch, grid, ratio, generator).view(batch, *grid)


class OnTheCpu(Random):
    def sample(self, batch, grid, ratio, generator):
        order = torch.rand(batch, grid[0] * grid[1], generator=generator).argsort(dim=1).argsort(dim=1)
        return order < masked_count(grid[0] * grid[1], ratio)


class OnTheCpuByRows(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample(batch, grid, ratio, generator).cpu()


class OneTarget(Random):
    """One target: all that is masked."""

    def sample_targets(self, batch, grid, ratio, generator):
        masked = masked_count(grid[0] * grid[1], ratio)
        order = self.sample(batch, grid, ratio, generator).int().argsort(dim=1, stable=True)
        context, hidden = order[:, :-masked], order[:, -masked:]
        return context, hidden[:, None]


class PutsTargetsBack(OneTarget):
    def sample_targets(self, batch, grid, ratio, generator):
        state = generator.get_state()
        drawn = super().sample_targets(batch, grid, ratio, generator)
        generator.set_state(state)
        return drawn


class ByPairs(Random):
    def sample(self, batch, grid, ratio, generator):
        return super().sample((batch + 1) // 2, grid, ratio, generator).repeat_interleave(2, dim=0)[:batch]


class PutsBack(Random):
    def sample(self, batch, grid, ratio, generator):
        state = generator.get_state()
        mask = super().sample(batch, grid, ratio, generator)
        generator.set_state(state)
        return mask


class Overlapping(Random):
    def sample_targets(self, batch, grid, ratio, generator):
        mask = self.sample(batch, grid, ratio, generator).int()
        hidden = masked_count(grid[0] * grid[1], ratio)
        order = mask.argsort(dim=1, stable=True)
        context = order[:, : mask.shape[1] - hidden]
        return context, context[:, None, :1]


MASKINGS = [
    (OneForAll, "all 6 rows of a batch have one mask"),
    (RolledRows, "it draws rand [1, 64], the same for a batch of any size"),
    (Numpys, "it drew from NumPy's global generator"),
    (Seedless, "its draws are the same whatever the state of the generator is"),
    (Torchs, "it drew from torch's global generator"),
    (Rounded, "in every row"),
    (Visible, "in every row"),
    (Numbers, "returned torch.float32 [6, 16], not bool [6, 16]"),
    (Square, "returned torch.bool [6, 4, 4], not bool [6, 16]"),
    (OnTheCpu, "sample on a GPU: Expected a 'cpu' device type for generator but found 'cuda'"),
    (OnTheCpuByRows, "sample on a GPU: it returned a tensor on the CPU"),
    (ByPairs, "the draws of images 0 and 1 of a batch are always the same"),
    (PutsTargetsBack, "sample_targets: two calls in a row with one generator draw the same"),
    (PutsBack, "two calls in a row with one generator draw the same"),
    (Overlapping, "a patch is in the context and in a target"),
]


def masking(kind):
    return MaskingSpec(name="m", summary="An m.", build=lambda params, context: kind())


def test_a_good_masking_has_no_fault():
    assert faults(masking(Random)) == []
    assert faults(masking(OneTarget)) == []


@pytest.mark.parametrize(("kind", "words"), marked(MASKINGS), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_masking_is_named(kind, words):
    assert_named(masking(kind), words, __file__)


class Wordless(Params):
    strength: float = 0.5


class Loose(Params):
    model_config: ClassVar = {"extra": "allow"}
    strength: float = param(0.5, "how much")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "My A"}, "name 'My A' must be lower-case letters"),
        ({"params": Wordless}, "parameter 'strength' has no description"),
        ({"params": Loose}, "take unknown keys"),
        ({"presets": {"strong": {"strenght": 1.0}}}, "strenght"),
    ],
)
def test_what_a_spec_states_is_checked(more, words):
    stated = {"name": "a", "summary": "An a.", "build": lambda params, context: Good(), **more}
    assert_named(AugmentationSpec(**stated), words, __file__)
