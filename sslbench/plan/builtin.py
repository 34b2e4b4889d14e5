"""The suites that come with sslbench: one TOML file each, of which a user can make a copy. Imports nothing heavy."""

from __future__ import annotations

from importlib import resources
from typing import Any

COMMANDS = {"suites": "run", "speed_suites": "speed"}
"""folder -> the command that takes its suites"""


def builtin_suites(folder_name: str = "suites") -> dict[str, Any]:
    """Name -> file of each, by name; ``speed_suites`` are those of the command ``speed``."""
    folder = resources.files("sslbench.plan") / folder_name
    files = {item.name.removesuffix(".toml"): item for item in folder.iterdir() if item.name.endswith(".toml")}
    return dict(sorted(files.items()))
