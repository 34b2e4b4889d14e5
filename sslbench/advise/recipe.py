"""The practitioner's path over a folder of labelled images: features, k-NN, linear probe, few labels, and what next.

Every number comes from the ordinary run machinery, so that it is kept, resumed and shown like any other result. The
model is chosen by the probe on a fifth of the training images; the test images have no part in the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from sslbench.advise.available import Available, available
from sslbench.advise.defaults import SUPERVISED
from sslbench.advise.frozen import Settings
from sslbench.advise.head import Head, write_head
from sslbench.advise.labelled_folder import LabelledFolder, describe
from sslbench.advise.next_command import HEAD, next_command
from sslbench.advise.recipe_run import RecipeRun
from sslbench.advise.rows import Row, choose, evidence_of
from sslbench.advise.session import Session
from sslbench.advise.verdict import Advice, decide
from sslbench.contracts.executor import Emit
from sslbench.hooks.registry import Registry, one_line
from sslbench.plan.reference import Reference


@dataclass(frozen=True)
class Recipe:
    """What was found out, and what to do next."""

    folder: LabelledFolder
    rows: tuple[Row, ...]
    best: int | None
    """index of the row that was chosen"""
    advice: Advice
    command: tuple[str, ...]
    """the next one, in words of a shell"""
    note: str
    """on the models, if there is one"""
    head: Path
    """the folder of the fitted head, where one was fitted"""
    not_stored: str = ""
    """why it is not there"""


def recipe(
    root: Path,
    settings: Settings,
    registry: Registry,
    emit: Emit,
    *,
    labels: Path | None = None,
    models: Sequence[Reference] = (),
    scratch: bool = True,
) -> Recipe:
    """Try the models (default: those that can be had) and the baselines on a folder of labelled images.

    Raises UserError for a folder that holds nothing to learn from, and for a model that is not there.
    """
    run = RecipeRun(root, labels, Session(settings, registry, emit))
    run.check_layout()
    tried = Available(tuple(models)) if models else available(registry, settings.download)
    candidates = run.candidates(tried.references)
    folder = describe(root, labels, run.features(candidates[0]))
    rows = [run.evaluate(candidate, folder) for candidate in candidates]
    best = choose(rows)
    if scratch and SUPERVISED in registry.names("method"):
        rows.append(run.from_scratch(folder))
    advice = decide(evidence_of(rows, best, folder))
    head, not_stored, command = settings.out / HEAD, "", next_command(run, advice, None)
    if best is not None:
        command = next_command(run, advice, candidates[best])
        accuracy = rows[best].linear
        if accuracy is not None:
            not_stored = stored_or_why_not(run.fit_head(candidates[best], accuracy, folder), head)
    return Recipe(folder, tuple(rows), best, advice, command, tried.note, head, not_stored)


def stored_or_why_not(head: Head, folder: Path) -> str:
    """Write the head; returns why that could not be done, or nothing. The advice is worth more than its file."""
    try:
        write_head(head, folder)
    except (OSError, SafetensorError) as error:
        return one_line(error)
    return ""
