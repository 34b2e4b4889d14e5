"""The suites that come with sslbench: one TOML file each, of which a user can make a copy. Imports nothing heavy."""

from __future__ import annotations

from importlib import resources
from typing import Any

COMMANDS = {"sslbench.plan": "run", "sslbench.speed": "speed"}
"""package -> the command that takes its suites"""


def builtin_suites(package: str = "sslbench.plan") -> dict[str, Any]:
    """Name -> file of each, by name, in the folder ``suites`` of a package."""
    folder = resources.files(package) / "suites"
    files = {item.name.removesuffix(".toml"): item for item in folder.iterdir() if item.name.endswith(".toml")}
    return dict(sorted(files.items()))
