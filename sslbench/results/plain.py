"""Values of notebooks as the harness takes them: paths, numbers of numpy, and what says how to run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sslbench.errors import UserError, quoted
from sslbench.hooks.user_paths import expanded


class Switches(BaseModel):
    """Keywords of ``run`` that are fields of ``Request``, of those that are neither paths nor plugins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: str | None = None
    retries: int = Field(default=0, ge=0)
    max_cells: int | None = Field(default=None, ge=0)
    fresh: bool = False
    keep_stale: bool = False
    detach: bool = False
    strict_plugins: bool = False
    download: bool = False
    trust: bool = False


def plain(value: Any) -> Any:
    """A path as text, and a number or an array of numpy as Python's; anything else is itself."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: plain(own) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else value
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value


def user_path(what: str, given: Any) -> Path:
    """A path as a user writes it, ``~`` expanded. Raises UserError for what is none."""
    try:
        text = os.fsdecode(given)
    except TypeError:
        text = ""
    if text.strip() and "\0" not in text:
        try:
            return expanded(text)
        except UserError as error:
            raise UserError(f"{what} = {error}") from None
    raise UserError(f"{what} = {quoted(given)}: expected a path, as text or pathlib.Path")
