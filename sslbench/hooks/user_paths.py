"""Paths below a person's home folder, which not every account has: a container may run as a bare user number."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sslbench.errors import UserError, quoted


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with ``~`` filled in. Raises UserError where nobody knows that home folder."""
    found = os.path.expanduser(os.fspath(path))
    if found.startswith("~"):
        raise UserError(f"{quoted(str(path))}: no home folder is known for it; write the path in full, or ./~...")
    return Path(found)


def user_cache() -> Path:
    """``sslbench`` in the user's cache folder ($XDG_CACHE_HOME, ~/.cache), or in that of temporary files where there is
    no home folder. It need not exist."""
    for cache in map(os.path.expanduser, (os.environ.get("XDG_CACHE_HOME", ""), "~/.cache")):
        if os.path.isabs(cache):  # one that is relative is to be ignored (XDG Base Directory Specification)
            return Path(cache, "sslbench")
    return Path(tempfile.gettempdir(), f"sslbench-{os.getuid()}")
