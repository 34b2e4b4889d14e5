"""Images per second of CPU time: scenes rendered, photographs decoded or taken from where they lie; one thread."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import torch
from PIL import Image

from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.scenes import render
from sslbench_plugins.blocks.scenes.scene import draw

PIXELS = 2 << 20
"""rendered in one round"""
PHOTOGRAPHS = 64


def measured(benchmark, count, work):
    """Run ``work`` on ``count`` images a round; the median rate goes to the benchmark's extra numbers."""
    spent = []

    def once():
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)

    benchmark(once)
    benchmark.extra_info["images_per_cpu_second"] = round(count / sorted(spent)[len(spent) // 2])


@pytest.mark.parametrize("size", [32, 224])
@pytest.mark.parametrize("what", ["images", "masks", "depths"])
def test_shapes(benchmark, what, size):
    count = PIXELS // size**2
    make = getattr(render, what)
    benchmark.group = f"shapes {size} px"
    measured(benchmark, count, lambda: make(draw("benchmark", torch.arange(count), 3), size))


def photograph(number):
    """A JPEG of 500 x 375 pixels and about 58 kB: smooth colours with noise, quality 90."""
    generator = np.random.default_rng(number)
    smooth = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375))
    pixels = np.asarray(smooth).astype(int) + generator.integers(-12, 13, (375, 500, 3))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=90)
    return file.getvalue()


@pytest.fixture(scope="module")
def photographs():
    return [photograph(number) for number in range(PHOTOGRAPHS)]


@pytest.mark.parametrize("size", [128, 224])
@pytest.mark.parametrize("way", ["resident", "mapped", "streaming"])
def test_a_batch_of_photographs(benchmark, way, size, photographs, tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path))
    names = [str(number) for number in range(PHOTOGRAPHS)]
    images = read(Encoded(photographs, names, size, "benchmark"), ReadingParams(reading=way), ["key"]).images
    indices = torch.randperm(PHOTOGRAPHS)
    take = images.index_select if way == "resident" else lambda dim, indices: images[indices]
    benchmark.group = f"photographs {size} px"
    measured(benchmark, PHOTOGRAPHS, lambda: take(0, indices))
