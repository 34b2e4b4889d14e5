"""What a results folder may hold beside runs, as chapters of a page."""

from __future__ import annotations

from sslbench.claims.chapter import of_claims, of_simulations
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Chapter
from sslbench.report.html.page import ChapterOf
from sslbench.speed.chapter import chapter as of_speed


def of_advice(folder: Folder) -> Chapter | None:
    """A recipe or a survey."""
    if not {found.kind for found in folder.found} & {"recipe", "survey"}:
        return None  # what follows imports torch
    from sslbench.advise.chapter import chapter

    return chapter(folder)


KINDS: tuple[ChapterOf, ...] = (of_advice, of_speed, of_simulations, of_claims)
"""in the order of the page"""
