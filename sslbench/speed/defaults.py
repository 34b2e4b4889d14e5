"""The one default that names something built in: the suite that is measured when none is named."""

from __future__ import annotations

SUITE = "mae-speedup"
