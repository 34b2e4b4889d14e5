"""Figures of simulations as files. matplotlib is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sslbench.errors import UserError


def check_figures(folder: Path) -> None:
    """Raises UserError where figures could not be drawn or saved, before anything is computed."""
    if find_spec("matplotlib") is None:
        raise UserError("figures need matplotlib, which is not installed: pip install 'sslbench[plots]'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--figures {str(folder)!r}: cannot be made: {error.strerror}") from None


def save_figures(simulator: str, figures: Mapping[str, Callable[[], Any]], folder: Path) -> list[Path]:
    """Save each as ``SIMULATOR-NAME.png`` and ``.svg`` in ``folder``; the same input gives the same bytes.

    ``figures``: name -> a function that returns a matplotlib figure. Raises UserError where a file cannot be written.
    """
    import matplotlib

    written = []
    # Element ids in SVG are random without a salt.
    with matplotlib.rc_context({"svg.hashsalt": "sslbench"}):
        for name, draw in figures.items():
            figure = draw()
            for ending, metadata in (("png", {}), ("svg", {"Date": None})):
                path = folder / f"{simulator}-{name}.{ending}"
                try:
                    figure.savefig(path, dpi=150, metadata=metadata)
                except OSError as error:
                    raise UserError(f"--figures: {str(path)!r} cannot be written: {error.strerror}") from None
                written.append(path)
    return written
