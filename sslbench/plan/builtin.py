"""The suites that come with sslbench: one TOML file each, of which a user can make a copy. Imports nothing heavy."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

COMMANDS = {"sslbench.plan": "run", "sslbench.speed": "speed"}  # package -> the command that takes its suites


def builtin_suites(package: str = "sslbench.plan") -> dict[str, Traversable]:
    """Name -> file of each suite in the folder ``suites`` of a package, sorted by name."""
    folder = resources.files(package) / "suites"
    files = {item.name.removesuffix(".toml"): item for item in folder.iterdir() if item.name.endswith(".toml")}
    return dict(sorted(files.items()))
