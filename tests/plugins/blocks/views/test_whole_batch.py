"""A view as one function: compiled, and how many kernels and operations it is on a GPU."""

from __future__ import annotations

from contextlib import ExitStack
from unittest import mock

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from sslbench import BuildContext
from sslbench.contracts.augmentation import ViewRequest
from sslbench.hooks.registry import Registry
from sslbench.testing.pretended_gpu import PretendedGenerator, PretendedGpu
from sslbench.train.compiled_views import compiled_view, options_for, view_of
from sslbench.train.views import Normalise, TrainingViews
from sslbench_plugins.blocks.views.photographic_view import Drawn, PhotographicView, Pipeline
from sslbench_plugins.blocks.views.whole_batch import clamped

REGISTRY = Registry()
EVERYTHING = Pipeline(
    crop_scale=(0.08, 1.0),
    flip=0.5,
    jitter=0.8,
    strengths=(0.8, 0.8, 0.8, 0.2),
    grey=0.2,
    blur=0.5,
    solarize=0.3,
)
FEW_ROUNDINGS = 5e-6
"""each step is exact to 1e-7; four turns of the jitter enlarge that by up to 1.8 each"""
MOST = {32: 270, 96: 280}


def images_of(batch, height, width):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, height, width), generator=generator, dtype=torch.uint8)


def some_views():
    """Each pipeline of every built-in augmentation."""
    found = {}
    for name in REGISTRY.catalogue.names("augmentation"):
        spec = REGISTRY.get("augmentation", name)
        built = spec.build(spec.params(), BuildContext())
        for index, kind, size in ((0, "global", 32), (1, "global", 32), (2, "local", 12)):
            if kind in spec.view_kinds:
                found.setdefault(built.view(index, kind, size), f"{name}-{index}")
    return [pytest.param(view, id=name) for view, name in found.items()]


def test_values_are_clamped_bit_for_bit():
    near_the_ends = torch.nextafter(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([-9.0, 9.0, -9.0, 9.0]))
    values = torch.cat([torch.linspace(-3, 3, 100_001), near_the_ends, torch.tensor([0.0, 1.0, 7.3, 100.1])])
    assert torch.equal(clamped(values), values.clamp(0, 1))


@pytest.mark.parametrize("view", some_views())
def test_what_is_compiled_is_the_view(view, monkeypatch):
    """Of every augmentation, each sample: in the way that a compiler is given it, on images of their size."""
    images = images_of(24, 32, 32)
    plain = view(images, torch.Generator().manual_seed(1))
    drawn = view.draw(24, (32, 32), torch.Generator().manual_seed(1))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert (view.apply(images, drawn) - plain).abs().max() < FEW_ROUNDINGS


@pytest.mark.slow  # a C++ compiler
@pytest.mark.parametrize(("image", "size"), [((32, 32), 32), ((61, 90), 40)])
def test_a_compiled_view_is_the_uncompiled_one_sample_by_sample(image, size):
    view, images = PhotographicView(EVERYTHING, size), images_of(48, *image)

    class Views:
        def view(self, index, kind, size):
            return view

    normalise = Normalise([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], "cpu")
    warnings = []
    compiled_view.cache_clear()
    views = TrainingViews(Views(), [ViewRequest("global", size)], normalise, True, warnings.append)
    (ours,) = views(images, torch.Generator().manual_seed(1))
    compiled_view.cache_clear()
    assert not warnings
    drawn = view.draw(48, image, torch.Generator().manual_seed(1))
    difference = (ours - view.apply(images, drawn)).abs().amax(dim=(1, 2, 3))
    assert difference.max() < FEW_ROUNDINGS, difference


@pytest.mark.slow
@pytest.mark.parametrize(("size", "most"), [(32, 10), (224, 30)])
def test_a_compiled_view_is_a_few_kernels_on_a_gpu(size, most):
    view, batch = PhotographicView(EVERYTHING, size), 64

    def function(images, boxes, rest, scale, shift):
        return view_of(view.apply, images, Drawn(boxes, rest), scale, shift)

    def inputs():
        boxes = torch.empty(4, batch, 10, dtype=torch.float64, device="cuda").transpose(0, 1)
        statistics = [torch.empty(1, 3, 1, 1, device="cuda") for _ in range(2)]
        images = torch.empty(batch, 3, size, size, dtype=torch.uint8, device="cuda")
        return [images, boxes, torch.empty(14, batch, device="cuda").T, *statistics]

    try:
        kernels = kernels_of(function, inputs, options_for("cuda"))
    except (ImportError, AttributeError, TypeError) as error:
        pytest.skip(f"this torch's compiler is built otherwise: {error}")
    # Two more draw the random numbers.
    assert 0 < kernels + 2 <= most


class Properties:
    """Of the card that the code is written for."""

    name, major, minor = "a GPU", 9, 0
    multi_processor_count, warp_size, total_memory = 132, 32, 80 << 30
    max_threads_per_multi_processor, regs_per_multiprocessor, max_threads_per_block = 2048, 65536, 1024


def kernels_of(function, make_inputs, options):
    """How many kernels torch's compiler makes for a GPU of a function of what ``make_inputs`` makes on ``cuda``. It
    writes their code, and nothing compiles or runs it. Reaches into the compiler, whose parts move between versions."""
    # Only here: the compiler takes seconds to load.
    import torch._inductor.debug
    from torch._inductor import config, metrics
    from torch._inductor.codegen.triton import TritonKernel
    from torch._inductor.decomposition import select_decomp_table
    from torch._inductor.graph import GraphLowering
    from torch._inductor.runtime.hints import DeviceProperties
    from torch._inductor.virtualized import V
    from torch.fx.experimental.proxy_tensor import make_fx

    card = DeviceProperties("cuda", 0, 132, 90, 9, 65536, 2048, 1024, 32)
    torch._C._ensureCUDADeviceGuardSet()
    with ExitStack() as stack:
        for name, value in {
            "torch.cuda.is_available": lambda: True,
            "torch.cuda.get_device_properties": lambda device=None: Properties,
            "torch.cuda.get_device_capability": lambda device=None: (9, 0),
            "torch.cuda.current_device": lambda: 0,
            "torch.cuda.device_count": lambda: 1,
            "torch._inductor.scheduler.has_triton": lambda: True,
            "torch.compiler.is_compiling": lambda: True,
        }.items():
            stack.enter_context(mock.patch(name, value))
        stack.enter_context(mock.patch.object(DeviceProperties, "create", return_value=card))
        stack.enter_context(mock.patch.object(TritonKernel, "inductor_meta_common", return_value={}))
        stack.enter_context(config.patch(options))
        fake = stack.enter_context(FakeTensorMode())
        inputs = make_inputs()
        graph = GraphLowering(make_fx(function, decomposition_table=select_decomp_table())(*inputs), inputs)
        metrics.reset()
        stack.enter_context(V.set_graph_handler(graph))
        stack.enter_context(V.set_fake_mode(fake))
        stack.enter_context(V.set_debug_handler(torch._inductor.debug.DebugContext()))
        graph.run(*inputs)
        code = graph.codegen()[0]
        text = code if isinstance(code, str) else code.value
    return text.count(".run(") + text.count("extern_kernels.")


@pytest.mark.pretended
@pytest.mark.parametrize("size", [32, 96])
def test_an_uncompiled_view_is_some_hundred_launches_on_a_gpu(size):
    view = PhotographicView(EVERYTHING, size)
    with PretendedGpu() as gpu:
        view(torch.empty(64, 3, size, size, dtype=torch.uint8, device="cuda"), PretendedGenerator())
    assert not gpu.work.crossings
    assert not gpu.work.waits
    assert gpu.work.launches.total() <= MOST[size], gpu.work.launches
