from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from sslbench.contracts.augmentation import ViewRequest
from sslbench.train import compiled_views
from sslbench.train.compiled_views import CompiledView, compiled_view, options_for, parts
from sslbench.train.views import Normalise, TrainingViews
from tests.train.test_trainer import trainer


@dataclass(frozen=True)
class Scaled:
    """Each image times its random number."""

    size: int

    def __call__(self, images, generator):
        return self.apply(images, self.draw(len(images), images.shape[2:], generator))

    def draw(self, batch, image, generator):
        return (torch.rand(batch, generator=generator),)

    def apply(self, images, drawn):
        return images[:, :, : self.size, : self.size] * (drawn[0].view(-1, 1, 1, 1) / 255)


@dataclass(frozen=True)
class Unmade(Scaled):
    """What torch cannot trace as a whole."""

    def apply(self, images, drawn):
        return super().apply(images, drawn) if images.float().max() < 300 else images


class Views:
    def __init__(self, transform):
        self.transform = transform

    def view(self, index, kind, size):
        return self.transform(size)


@pytest.fixture
def graphs(monkeypatch):
    """Runs what torch would compile as it is: the graphs that it would compile."""
    found, compile_ = [], torch.compile

    def backend(graph, inputs):
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(
        torch, "compile", lambda function, **options: compile_(function, backend=backend, fullgraph=True)
    )
    compiled_view.cache_clear()
    yield found
    compiled_view.cache_clear()


def training_views(transform, sizes=(4, 4, 3), compiled=True, **options):
    requests = [ViewRequest("global", size) for size in sizes]
    normalise = Normalise([0.1, 0.2, 0.3], [0.5, 0.6, 0.7], "cpu")
    return TrainingViews(Views(transform), requests, normalise, compiled, **options)


def images_of(batch, seed=0):
    return torch.randint(0, 256, (batch, 3, 5, 5), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_compiled_views_are_the_uncompiled_ones_and_equal_transforms_share_a_function(graphs):
    plain, ours = training_views(Scaled, compiled=False), training_views(Scaled)
    generators = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for batch in (images_of(6), images_of(6, seed=2)):
        for one, other in zip(plain(batch, generators[0]), ours(batch, generators[1]), strict=True):
            assert torch.allclose(one, other, atol=1e-6)
    assert len(graphs) == 2, "one of 4 and one of 3 pixels"
    training_views(Scaled)(images_of(6), torch.Generator())
    assert len(graphs) == 2, "another training has them already"


@pytest.mark.parametrize("asked", [False, True])
def test_the_views_of_a_training_are_compiled_where_it_is(asked):
    assert {isinstance(view, CompiledView) for view in trainer("simclr", compile=asked).views._views} == {asked}


def test_a_gpu_writes_channels_where_their_stack_is_read(monkeypatch):
    given = []
    monkeypatch.setattr(torch, "compile", lambda function, options, **more: given.append(options) or function)
    compiled_view.cache_clear()
    for device in ("cuda", "cpu"):
        compiled_view(Scaled(4), 5, 5, device)
    compiled_view.cache_clear()
    assert given == [options_for("cuda"), {}]
    assert set(given[0].values()) == {0}


def test_batches_of_many_sizes_are_compiled_twice(graphs):
    views = training_views(Scaled, sizes=(4,))
    for batch in range(4, 20):
        (view,) = views(images_of(batch), torch.Generator().manual_seed(batch))
        assert torch.equal(
            view, training_views(Scaled, (4,), False)(images_of(batch), torch.Generator().manual_seed(batch))[0]
        )
    assert len(graphs) == 2


def test_what_torch_cannot_compile_is_made_uncompiled_with_its_reason(graphs):
    reasons = []
    ours, plain = training_views(Unmade, (4,), on_warning=reasons.append), training_views(Unmade, (4,), compiled=False)
    generators = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for _ in range(2):
        assert torch.equal(ours(images_of(6), generators[0])[0], plain(images_of(6), generators[1])[0])
    (reason,) = reasons
    assert reason.startswith("--compile: views are made uncompiled, since torch could not compile them: Unsupported:")


def test_without_a_compiler_the_views_are_made_uncompiled(monkeypatch):
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor.exc import InvalidCxxCompiler

    def without_compiler(function, **options):
        def call(*args):
            raise BackendCompilerFailed(function, InvalidCxxCompiler(), None) from InvalidCxxCompiler()

        return call

    monkeypatch.setattr(torch, "compile", without_compiler)
    compiled_view.cache_clear()
    reasons = []
    (view,) = training_views(Scaled, (4,), on_warning=reasons.append)(images_of(6), torch.Generator().manual_seed(1))
    compiled_view.cache_clear()
    (plain,) = training_views(Scaled, (4,), compiled=False)(images_of(6), torch.Generator().manual_seed(1))
    assert torch.equal(view, plain)
    assert "InvalidCxxCompiler: No working C++ compiler found" in reasons[0]


def test_a_transform_that_is_one_function_is_called_as_it_is(graphs):
    def transform(size):
        return lambda images, generator: torch.zeros(len(images), 3, size, size)

    assert training_views(transform)(images_of(2), torch.Generator())[0].shape == (2, 3, 4, 4)
    assert not graphs


@pytest.mark.parametrize(
    ("batch", "most", "lengths"),
    [
        (6, 100, [6]),
        (16, 2, [2] * 8),
        (15, 4, [3] * 5),
        (9, 8, [3] * 3),
        (7, 3, [3, 3, 1]),
        (3, 0, [1, 1, 1]),
        (1, 1, [1]),
    ],
)
def test_a_batch_is_cut_into_parts_of_one_length_where_there_are(batch, most, lengths):
    slices = list(parts(batch, 1, most))
    assert [here.stop - here.start for here in slices[:-1]] == lengths[:-1]
    rows = torch.arange(batch)
    assert torch.equal(torch.cat([rows[here] for here in slices]), rows)
    assert len(rows[slices[-1]]) == lengths[-1]


def test_a_batch_in_parts_is_the_same_views(graphs, monkeypatch):
    whole = training_views(Scaled, (4,))(images_of(6), torch.Generator().manual_seed(1))[0]
    monkeypatch.setitem(compiled_views.AT_A_TIME, "cpu", 2 * 3 * 16)
    assert torch.equal(training_views(Scaled, (4,))(images_of(6), torch.Generator().manual_seed(1))[0], whole)
