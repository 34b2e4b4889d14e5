from __future__ import annotations

import importlib.util

import pytest

from sslbench import UserError
from sslbench.claims import simulate as module
from sslbench.claims.simulate import check_figures, save_figures


def line():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1], [0, 1])
    return figure


def test_figures_are_png_and_svg_and_the_same_each_time(tmp_path):
    folder = tmp_path / "a" / "b"
    check_figures(folder)
    written = save_figures("sky", {"line": line}, folder)
    assert [path.name for path in written] == ["sky-line.png", "sky-line.svg"]
    first = [path.read_bytes() for path in written]
    assert first[0].startswith(b"\x89PNG")
    assert b"<svg" in first[1]
    save_figures("sky", {"line": line}, folder)
    assert [path.read_bytes() for path in written] == first


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    with pytest.raises(
        UserError, match=r"figures need matplotlib, which is not installed: pip install 'sslbench\[plots\]'"
    ):
        check_figures(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made: "):
        check_figures(tmp_path / "file" / "x")
    (tmp_path / "sky-line.png").mkdir()
    with pytest.raises(UserError, match="cannot be written: Is a directory"):
        save_figures("sky", {"line": line}, tmp_path)
