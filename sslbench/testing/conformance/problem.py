"""Problems: how a plugin breaks its contract, one line each."""

from __future__ import annotations

from collections.abc import Iterator

SIZE = 16
"""side of the images that plugins are tried on, pixels"""
Problems = Iterator[str]
