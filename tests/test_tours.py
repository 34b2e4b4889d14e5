"""The tours of the documentation: their files written, their commands run, in order, in an empty folder."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sslbench.cli.main import call
from sslbench.hooks.registry import default_registry

pytestmark = pytest.mark.slow
DOCS = Path(__file__).parents[1] / "docs"


def blocks(page):
    """Language and text of each block of code, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def draw_photos(folder):
    """Three classes of 20 images: discs, squares and stripes on noise."""
    for label, name in enumerate(("disc", "square", "stripes")):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(20):
            random = np.random.default_rng([label, number])
            image = Image.fromarray(random.integers(0, 90, (48, 48, 3), dtype=np.uint8))
            x, y, side = random.integers(4, 20), random.integers(4, 20), 22
            pen, colour = ImageDraw.Draw(image), tuple(map(int, random.integers(120, 255, 3)))
            if name == "disc":
                pen.ellipse((x, y, x + side, y + side), fill=colour)
            elif name == "square":
                pen.rectangle((x, y, x + side, y + side), fill=colour)
            else:
                for row in range(y, y + side, 5):
                    pen.line((x, row, x + side, row), fill=colour, width=2)
            image.save(folder / "photos" / name / f"{number}.png")


@pytest.fixture
def shell(tmp_path, distribution, monkeypatch, capsys):
    """Run a line of a shell in an empty folder, in this process, which forgets what it imports from there."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))

    def run(line):
        words = shlex.split(line)
        words, file = (words[: words.index(">")], words[-1]) if ">" in words else (words, None)
        if words[0] == "sslbench":
            code = call(words[1:])
        else:
            assert words[:3] == ["python", "-m", "pytest"]
            code = pytest.main(words[3:])
        out, err = capsys.readouterr()
        if file:
            (folder / file).write_text(out)
        assert code == 0, f"{line}\n{out}\n{err}"
        return out

    run.folder = folder
    return run


def take(page, shell):
    """Everything that a tour has its reader write and run; what the commands printed."""
    printed = []
    for language, text in blocks(page):
        if language == "bash":
            printed += [shell(line) for line in text.splitlines()]
        elif name := re.match(r"# (\S+)\n", text):
            (shell.folder / name[1]).write_text(text)
    return printed


def test_your_own_images(shell):
    draw_photos(shell.folder)
    look, recipe, _, run, results, *_ = take("tour-images.md", shell)
    assert "disc" in look
    assert "raw-pixels" in recipe
    assert "simclr" in run
    assert "95% interval" in results
    files = ("look.html", "labels.csv", "report.html", "encoder/model.safetensors", "features.parquet")
    assert all((shell.folder / name).stat().st_size > 100 for name in files)


def test_a_plugin_of_yours(shell, distribution, request):
    project = next(tomllib.loads(text)["project"] for language, text in blocks("tour-plugin.md") if language == "toml")
    distribution(project["name"], project["entry-points"]["sslbench"], {})
    default_registry.cache_clear()
    request.addfinalizer(default_registry.cache_clear)
    listed, shown, plugins, tested, _, run = take("tour-plugin.md", shell)
    assert "Quarter turns: each view is turned by" in listed
    assert "share of the views that are turned" in shown
    assert ", 0 failed" in plugins
    assert "1 passed" in tested
    assert "quarter-turns" in run


def test_a_gate_for_speed(shell):
    gated, saved, held, *_, compared = take("tour-speed.md", shell)
    assert "1 passed" in gated
    assert (shell.folder / ".sslbench/release.json").is_file()
    assert "1 passed" in saved
    assert "1 passed" in held
    assert "images" in compared
