"""Small results of real runs, each made once for all tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sslbench

SMALL = {"backbones": "convnet-small:width=4", "evaluators": "knn", "epochs": 2, "batch_size": 16}
SMALL |= {"device": "cpu", "executor": "inline", "progress": False}


def write_images(folder: Path) -> Path:
    """Forty photographs of two kinds, of odd sides, as PNG and JPEG."""
    random = np.random.default_rng(0)
    for number in range(40):
        kind, ending = ("bright", "dark")[number % 2], ("png", "jpg")[number // 2 % 2]
        path = folder / kind / f"{number}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 230, (20 + number % 3, 24, 3)) + 12 * (kind == "bright")
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def results(photos, tmp_path_factory):
    """Two methods and pixels, two seeds each, on the photographs."""
    out = tmp_path_factory.mktemp("results")
    data = {"name": "imagefolder", "root": str(photos), "size": 16}
    methods = ["simclr", "simclr:temperature=0.2", "raw-pixels"]
    return sslbench.run(data=data, methods=methods, seeds=range(2), curve_every=1, curve=["knn"], out=out, **SMALL)


@pytest.fixture
def small():
    """Keywords of a run that takes a second."""
    return dict(SMALL)
