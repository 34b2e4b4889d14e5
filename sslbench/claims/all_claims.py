"""Every claim with its verdict: those of the simulators, and those that the harness and finished runs can test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sslbench.claims.claim_row import ClaimRow, Hypothesis
from sslbench.claims.defaults import CONTRASTIVE, NETWORK
from sslbench.claims.feature_quality import lejepa_loss, moco_queue, pretext_loss
from sslbench.claims.simulate import SEED, simulate
from sslbench.claims.speed_up import speed_up
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import Registry, default_registry
from sslbench.measure.negatives import negatives_per_anchor
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore
from sslbench.train.task import build_method

NEGATIVES = Hypothesis(
    "every anchor of NT-Xent has 2(N - 1) negatives in a batch of N images",
    "Chen et al. 2020, SimCLR, section 2.1",
    "2(N - 1) for every N that is tried, to within 0.1%",
    "sslbench claims",
)
SIZE, BATCHES, TOLERANCE = 32, (2, 8, 32, 128), 1e-3
"""pixels of a side, batch sizes, and the share by which a count may differ"""
DINOV2 = {"k-NN": 83.5, "linear": 86.5}
"""ImageNet top-1 of the frozen ViT-g/14 in percent, by protocol, in the authors' table"""


def all_claims(
    seed: int = SEED, results: Sequence[Path] = (), registry: Registry | None = None, failed: list[str] | None = None
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
    rows = []
    for simulation in simulate(seed=seed, registry=registry, failed=failed):
        command = f"sslbench simulate {simulation.name}" + (f" --seed {seed}" if seed != SEED else "")
        rows += [ClaimRow.of(claim, command) for claim in simulation.result.claims]
    speed = speed_up(runs, [record for record in records if record.kind == "speed"])
    of_losses = [*pretext_loss(runs), lejepa_loss(runs)]
    return [*rows, negatives(registry), speed, moco_queue(runs), *of_losses, published()]


def usual_folders() -> list[Path]:
    """Where ``sslbench run`` leaves results unless ``--out`` says otherwise."""
    return [folder for folder in sorted(Path("sslbench-results").glob("*")) if ResultsStore.exists(folder)]


def done_records(folder: Path) -> list[Record]:
    """The records of a folder whose status is ``done``. Raises UserError for a folder without results."""
    with ResultsStore.open_for_reading(folder) as store:
        return store.records({"status": "done"})


def negatives(registry: Registry) -> ClaimRow:
    """How many negatives an anchor of NT-Xent has, counted in the loss of the installed method."""
    try:
        method = chosen("method", Reference(CONTRASTIVE), registry)
        backbone = chosen("backbone", Reference(NETWORK), registry)
    except SslbenchError as error:
        return NEGATIVES.without_seeds(error.messages[0])
    built = build_method(method, backbone, BuildContext(image_size=SIZE))
    counts = {images: negatives_per_anchor(built, images, SIZE) for images in BATCHES}
    right = all(abs(count - 2 * (n - 1)) <= TOLERANCE * 2 * (n - 1) for n, count in counts.items())
    measured = ", ".join(f"N = {images}: {count:.1f}" for images, count in counts.items())
    return NEGATIVES.without_seeds(f"{measured}; nothing is drawn", "holds" if right else "fails")


def published(claimed: float = 83.5) -> ClaimRow:
    """What the tutorial calls the top-1 of a linear layer, percent, against the authors' own table."""
    claim = Hypothesis(
        f"DINOv2 ViT-g reaches {claimed}% on ImageNet with a linear layer",
        "tutorial on self-supervised learning, table of published results",
        "the number that the authors give for a linear layer (Oquab et al. 2023, DINOv2, table 4)",
        "sslbench claims",
    )
    matching = [protocol for protocol, top1 in DINOV2.items() if top1 == claimed]
    measured = (
        f"the authors give {DINOV2['linear']} linear and {DINOV2['k-NN']} for k-NN; {claimed} is their"
        f" {' and '.join(matching) or 'neither'}; nothing is drawn"
    )
    return claim.without_seeds(measured, "holds" if "linear" in matching else "fails")
