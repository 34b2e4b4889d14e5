"""Which built-in plugins this room names."""

from __future__ import annotations

NO_TRAINING, PIXELS = "random-init", "raw-pixels"
"""methods that a table without such rows is told to add"""
