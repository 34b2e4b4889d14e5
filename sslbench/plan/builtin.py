"""The suites that come with sslbench: one TOML file each, of which a user can make a copy. Imports nothing heavy."""

from __future__ import annotations

from importlib import resources
from typing import Any


def builtin_suites() -> dict[str, Any]:
    """Name -> file of each, by name."""
    folder = resources.files("sslbench.plan") / "suites"
    files = {item.name.removesuffix(".toml"): item for item in folder.iterdir() if item.name.endswith(".toml")}
    return dict(sorted(files.items()))
