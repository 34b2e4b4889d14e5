"""What a results folder may hold beside runs, as chapters of a page."""

from __future__ import annotations

from sslbench.report.html.page import ChapterOf
from sslbench.speed.chapter import chapter as of_speed

KINDS: tuple[ChapterOf, ...] = (of_speed,)
"""in the order of the page"""
