"""Folders to look at."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sslbench.cli.main import call


def pattern(height, width):
    """uint8 ``[height, width, 3]`` in which every direction is another."""
    y, x = np.mgrid[:height, :width]
    bands = (x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) % 32 * 8)
    return np.stack(bands, -1).astype(np.uint8)


@pytest.fixture
def picture():
    return pattern


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def photos(tmp_path):
    """Two classes of six images each, and a name in letters that no picture has."""
    for index, name in enumerate(("cat", "собака")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            pixels = np.roll(pattern(70, 80), 5 * number + 40 * index, axis=1)
            Image.fromarray(pixels).save(tmp_path / f"photos/{name}/{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def odd(tmp_path):
    """Eleven images of odd shapes and kinds, of which three cannot be used."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for name, (height, width) in {"dot": (1, 1), "upright": (5000, 1), "flat": (1, 5000)}.items():
        Image.fromarray(pattern(height, width)).save(folder / f"{name}.png")
    Image.fromarray(pattern(90, 120)).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(pattern(100, 100)[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(pattern(80, 80)).quantize(16).save(folder / "palette.png", transparency=0)
    frames = [Image.fromarray(np.roll(pattern(64, 64), 8 * shift, axis=1)) for shift in range(3)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    lying = Image.fromarray(pattern(70, 140))
    exif = lying.getexif()
    exif[0x0112] = 6
    lying.save(folder / "turned.jpg", exif=exif)
    seen_through = Image.fromarray(pattern(100, 100)).convert("LA")
    seen_through.putalpha(Image.fromarray(pattern(100, 100)[..., 1]))
    seen_through.save(folder / "la.png")
    Image.fromarray(pattern(300, 6000)).save(folder / "panorama.jpg")
    Image.fromarray(pattern(90, 90)).save(folder / "jpeg.png", "JPEG")
    return folder


@pytest.fixture
def look(capsys):
    """Exit code, stdout and stderr, but for the line of progress, of ``sslbench look`` with these arguments."""

    def run(*arguments):
        code = call(["look", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err.removeprefix("sslbench: reading images\n")

    return run
