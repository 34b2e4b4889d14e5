"""Images per second of CPU time: scenes rendered, one thread."""

from __future__ import annotations

import time

import pytest
import torch

from sslbench_plugins.blocks import render
from sslbench_plugins.blocks.scene import draw

PIXELS = 4 << 20
"""rendered in one round"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize("what", ["images", "masks", "depths"])
def test_shapes(benchmark, what, size):
    count = PIXELS // size**2
    make = getattr(render, what)
    benchmark.group = f"shapes {size} px"
    benchmark.extra_info["images"] = count

    def once():
        began = time.process_time()
        make(draw("benchmark", torch.arange(count), 3), size)
        return count / (time.process_time() - began)

    benchmark.extra_info["images_per_cpu_second"] = round(benchmark(once))
