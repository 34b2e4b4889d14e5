"""Small images in files, and data sets of them."""

from __future__ import annotations

import pytest
from PIL import Image

from sslbench import BuildContext
from sslbench.hooks.registry import Registry

REGISTRY = Registry()
PATHS = ("root", "labels", "path")


@pytest.fixture
def built():
    """Build a data set by name, with its parameters."""

    def build(name, **given):
        spec = REGISTRY.get("dataset", name)
        texts = {key: str(value) if key in PATHS else value for key, value in given.items()}
        return spec.build(spec.params(**texts), BuildContext())

    return build


@pytest.fixture
def picture():
    """Write 8 x 8 pixels of one grey."""

    def write(path, grey=100):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), grey).save(path)
        return path

    return write


@pytest.fixture
def pictures(picture):
    """Write so many images ``0.png``, ``1.png``, ... of different greys."""

    def write(folder, count, start=0):
        return [picture(folder / f"{number}.png", (start + number) % 256) for number in range(count)]

    return write
