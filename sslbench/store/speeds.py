"""Measured speeds of tests in one JSON file: many writers, nothing half written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sslbench.errors import StoreError, UserError
from sslbench.store.atomic import write_atomically

PATIENCE = 60.0
"""seconds to wait for another writer, who needs milliseconds"""


def read_speeds(path: Path) -> dict[str, dict[str, Any]]:
    """Id -> what was measured. Raises UserError for a file that is missing or something else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; --sslbench-save makes one") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {error}") from None
    speeds = document.get("speeds") if isinstance(document, dict) else None
    if not isinstance(speeds, dict) or document.get("schema") != 1:
        raise UserError(f"{path}: JSON, but not speeds as --sslbench-save writes them")
    return speeds


def add_speed(path: Path, name: str, speed: Mapping[str, Any]) -> None:
    """Put one measurement into the file, in place of an older one of that name; the folder is made where missing. Each
    process waits for its turn and replaces the file whole. Raises StoreError where that cannot be done."""
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=PATIENCE):
            speeds = {**(read_speeds(path) if path.exists() else {}), name: dict(speed)}
            # One line a measurement: raw samples on lines of their own would be thousands.
            items = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in speeds.items()]
            write_atomically(path, ('{"schema": 1, "speeds": {\n' + ",\n".join(items) + "\n}}\n").encode())
    except Timeout:
        raise StoreError(f"{path}: another process has held {path.name}.lock for {PATIENCE:.0f} s") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot store the speed of {name}: {error.strerror or error}") from error
