"""Every claim with its verdict: those of the simulators, and those that the harness and finished runs can test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sslbench.claims.claim_row import ClaimRow
from sslbench.claims.moco_queue import moco_queue
from sslbench.claims.negatives import negatives
from sslbench.claims.pretext_loss import pretext_loss
from sslbench.claims.published import published
from sslbench.claims.simulate import SEED, simulate
from sslbench.claims.speed_up import speed_up
from sslbench.hooks.registry import Registry, default_registry
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore


def all_claims(
    seed: int = SEED,
    results: Sequence[Path] = (),
    registry: Registry | None = None,
    failed: list[str] | None = None,
) -> list[ClaimRow]:
    """One row a claim, in the order of the simulators, then those of the harness.

    ``results`` are folders of finished runs; without any, those in ``sslbench-results`` of the current folder. A claim
    that needs a run which none of them holds has the verdict ``not measured yet``. A simulator that is broken costs
    only its own claims where ``failed`` is given: a line about it is appended there. Raises UserError for a folder
    without results.
    """
    registry = registry or default_registry()
    records = [record for folder in results or usual_folders() for record in done_records(folder)]
    runs = [record for record in records if record.kind == "run"]
    timed = [record for record in records if record.kind == "speed"]
    return [
        *of_simulators(seed, registry, failed),
        negatives(registry),
        speed_up(runs, timed),
        moco_queue(runs),
        *pretext_loss(runs),
        published(),
    ]


def of_simulators(seed: int, registry: Registry, failed: list[str] | None) -> list[ClaimRow]:
    """The claims of all installed simulators; ``failed`` as in ``all_claims``."""
    rows = []
    for simulation in simulate(seed=seed, registry=registry, failed=failed):
        command = f"sslbench simulate {simulation.name}" + (f" --seed {seed}" if seed != SEED else "")
        rows += [ClaimRow.of(claim, command) for claim in simulation.result.claims]
    return rows


def usual_folders() -> list[Path]:
    """Where ``sslbench run`` leaves results unless ``--out`` says otherwise."""
    return [folder for folder in sorted(Path("sslbench-results").glob("*")) if ResultsStore.exists(folder)]


def done_records(folder: Path) -> list[Record]:
    """The records of a folder whose status is ``done``. Raises UserError for a folder without results."""
    with ResultsStore.open_for_reading(folder) as store:
        return store.records({"status": "done"})
