"""Every claim with its verdict: those of the simulators, and those that the harness and finished runs can judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from sslbench.claims.simulate import SEED, simulate
from sslbench.contracts.plugin import BuildContext
from sslbench.contracts.simulator import Claim, across_seeds, check_claim
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import Registry, default_registry
from sslbench.statistics.correlation import spearman

NOT_MEASURED = "not measured yet"
Row = dict[str, Any]
Record = Mapping[str, Any]

SPEED_UP = "MAE trains at least three times as fast when the encoder sees 25% of the tokens"
SPEED_UP_RUN = "sslbench speed && sslbench claims"
TIMES = 3.0
FEW_TOKENS, ALL_TOKENS = 0.75, 0.05
"""the mask ratio of the claim, and the largest that counts as no masking"""
QUEUE = "with MoCo's queue a small batch does as well as a large one"
QUEUE_RUN = "".join(
    f"sslbench run -m moco:queue_size=1024 -e knn --seeds 0,1,2 --batch-size {size}"
    f" --out sslbench-results/moco-{size} && "
    for size in (32, 256)
)
QUEUE_RUN += "sslbench claims"
QUEUE_LOSS = 0.02
"""top-1 that a small batch may lose"""
LOSS = "pretext loss is no measure of quality: {}"
RECIPES, EPOCHS = "it does not rank methods", "it does not say at which epoch of a training features are best"
LOSS_RUN = (
    "sslbench run -m simclr -m moco -m byol -m dino -m simsiam -b convnet-small -e knn --seeds 0,1,2"
    " --set curve_every=1 --set curve=knn --out sslbench-results/losses && sslbench claims"
)
RANKS_ALIKE, FEWEST_RANKED = 0.8, 4
"""rank correlation from which on low loss would be a measure of quality; and how many there must be to rank"""
DINOV2 = {"claimed": 83.5, "k-NN": 83.5, "linear": 86.5}
"""ImageNet top-1 of the frozen ViT-g/14: called linear by the tutorial; by protocol in the authors' table"""


def all_claims(
    seed: int = SEED,
    results: Sequence[Path] = (),
    registry: Registry | None = None,
    failed: list[str] | None = None,
) -> list[Row]:
    """One row a claim: statement, source, expected, measured, verdict, seeds, and the command that gives it.

    ``results`` are folders of finished runs; without any, those in ``sslbench-results`` of the current folder. A claim
    that needs a run which none of them holds has the verdict ``not measured yet``. A simulator that is broken costs
    only its own claims where ``failed`` is given: a line about it is appended there. Raises UserError for a folder
    without results.
    """
    registry = registry or default_registry()
    found = [record for folder in results or usual_folders() for record in records_of(folder)]
    timed = [record for record in found if record.get("kind") == "speed"]
    records = [record for record in found if record.get("kind") != "speed"]
    rows = []
    for one in simulate(seed=seed, registry=registry, failed=failed):
        command = f"sslbench simulate {one.name}" + (f" --seed {seed}" if seed != SEED else "")
        rows += [as_row(claim, command) for claim in one.result.claims]
    return [*rows, negatives(registry), speed_up(records, timed), queue(records), *pretext_loss(records), published()]


def usual_folders() -> list[Path]:
    """Where ``sslbench run`` leaves results if it is not told otherwise."""
    from sslbench.store.results import ResultsStore

    return [folder for folder in sorted(Path("sslbench-results").glob("*")) if ResultsStore.exists(folder)]


def records_of(folder: Path) -> list[dict[str, Any]]:
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_reading(folder) as store:
        return [record for record in store.records() if record["status"] == "done"]


def as_row(claim: Claim, command: str) -> Row:
    return {
        "statement": claim.statement,
        "source": claim.source,
        "expected": claim.expected,
        "measured": claim.measured,
        "verdict": claim.verdict,
        "seeds": list(claim.seeds),
        "command": command,
    }


def unmeasured(statement: str, source: str, expected: str, why: str, command: str) -> Row:
    facts = {"statement": statement, "source": source, "expected": expected, "measured": why}
    return {**facts, "verdict": NOT_MEASURED, "seeds": [], "command": command}


def negatives(registry: Registry) -> Row:
    """Counted in the loss of the installed ``simclr``, for batches of several sizes."""
    from sslbench.measure.negatives import negatives_per_anchor

    statement = "every anchor of NT-Xent has 2(N - 1) negatives in a batch of N images"
    source = "Chen et al. 2020, SimCLR, section 2.1"
    expected = "2(N - 1) for every N that is tried, to within 0.1%"
    command, size = "sslbench claims", 32
    try:
        specs = registry.get("method", "simclr"), registry.get("backbone", "convnet-small")
    except SslbenchError as error:
        return unmeasured(statement, source, expected, error.messages[0], command)
    backbone = specs[1].build(specs[1].params(), BuildContext(image_size=size))
    method = specs[0].build(specs[0].params(), BuildContext(backbone=backbone, image_size=size))
    found = {images: negatives_per_anchor(method, images, size) for images in (2, 8, 32, 128)}
    right = all(abs(count - 2 * (images - 1)) <= 2e-3 * (images - 1) for images, count in found.items())
    seen = ", ".join(f"N = {images}: {count:.1f}" for images, count in found.items())
    return as_row(drawn_from_nothing(statement, source, expected, right, seen), command)


def drawn_from_nothing(statement: str, source: str, expected: str, true: bool, measured: str) -> Claim:
    """A claim that no seed has a part in."""
    return Claim(statement, source, expected, f"{measured}; nothing is drawn", "holds" if true else "fails")


def speed_up(records: Iterable[Record], timed: Iterable[Record] = ()) -> Row:
    """Steps that were timed in turn, if there are any; else trainings, seed by seed: images per second at a mask
    ratio of 0.75 over those where hardly anything is hidden."""
    source = "He et al. 2022, Masked Autoencoders, abstract"
    row = timed_speed_up(timed, source)
    if row is not None:
        return row
    expected = "images per second at a mask ratio of 0.75, over those with (nearly) all tokens, at least 3"

    def speed(record: Record) -> float | None:
        return (record.get("pretraining") or {}).get("images_per_second")

    mae = [r for r in records if r["method"] == "mae" and r["mask_ratio"] is not None and speed(r)]
    few = matched(mae, lambda r: r["mask_ratio"] == FEW_TOKENS)
    full = matched(mae, lambda r: r["mask_ratio"] <= ALL_TOKENS)
    ratios = by_seed({key: speed(few[key]) / speed(full[key]) for key in few if key in full})  # type: ignore[operator]
    if not ratios:
        why = f"no finished run of MAE at a mask ratio of {FEW_TOKENS:g} and at one of at most {ALL_TOKENS:g}"
        return unmeasured(SPEED_UP, source, expected, why, SPEED_UP_RUN)
    seen = f"{across_seeds([one for many in ratios.values() for one in many])} times as fast"
    outcomes = {seed: agreed([one >= TIMES for one in many]) for seed, many in ratios.items()}
    return as_row(check_claim(SPEED_UP, source, expected, outcomes, seen), SPEED_UP_RUN)


def timed_speed_up(records: Iterable[Record], source: str) -> Row | None:
    """What ``sslbench speed`` measured: MAE at a mask ratio of 0.75 against the same model whose encoder sees mask
    tokens. It holds where the interval of every row lies above 3, and fails where that of every row lies below."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in records:
        if record["method"] != "mae" or record["mask_ratio"] != FEW_TOKENS:
            continue
        size = record["params"].get("backbone", {}).get("size", "")
        depth = record["params"]["method"].get("decoder_depth")
        model = " ".join(filter(None, [record["backbone"], size]))
        who = f"{model} on {record['speed']['device']}, decoder depth {depth}"
        for one in record["speed"]["against"]:
            if "like for like" in one["baselines"]:
                found[who] = one
    if not found:
        return None
    verdicts = {
        "holds" if one["low"] >= TIMES else "fails" if one["high"] < TIMES else "undecided" for one in found.values()
    }
    seen = "; ".join(f"{who}: {one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for who, one in found.items())
    verdict = verdicts.pop() if len(verdicts) == 1 else "undecided"
    expected = "times as fast as with mask tokens in the encoder, the same decoder: intervals above 3 for every model"
    facts = {"statement": SPEED_UP, "source": source, "expected": expected, "measured": seen}
    return {**facts, "verdict": verdict, "seeds": [], "command": SPEED_UP_RUN}


def queue(records: Iterable[Record]) -> Row:
    """kNN of the smallest batch against the largest at one queue, seed by seed."""
    source = "He et al. 2020, MoCo, section 3.1: the queue decouples the dictionary from the batch"
    expected = f"kNN top-1 of the smallest batch at most {QUEUE_LOSS:g} below that of the largest, at one queue size"

    def batch(record: Record) -> int:
        return record["params"]["training"]["batch_size"]

    groups: dict[tuple[Any, ...], dict[int, float]] = {}
    for record in records:
        value = top1_of(record)
        if record["method"] == "moco" and value is not None:
            size = record["params"]["method"].get("queue_size")
            groups.setdefault((size, *key_of(record)), {})[batch(record)] = value
    changes = by_seed({key: one[min(one)] - one[max(one)] for key, one in groups.items() if len(one) > 1})
    if not changes:
        why = "no finished runs of MoCo at one queue size and two batch sizes"
        return unmeasured(QUEUE, source, expected, why, QUEUE_RUN)
    seen = f"top-1 changes by {across_seeds([one for many in changes.values() for one in many])}"
    outcomes = {seed: agreed([one >= -QUEUE_LOSS for one in many]) for seed, many in changes.items()}
    return as_row(check_claim(QUEUE, source, expected, outcomes, seen), QUEUE_RUN)


def pretext_loss(records: Iterable[Record]) -> list[Row]:
    """How well low loss ranks kNN top-1, seed by seed: over the recipes of a run, and over the epochs of a curve."""
    records = list(records)
    return [
        loss_claim(RECIPES, over_recipes(records), "recipes of two methods or more, trained alike on one data set"),
        loss_claim(EPOCHS, over_epochs(records), "epochs of one training"),
    ]


def loss_claim(which: str, found: Mapping[int, list[float]], over: str) -> Row:
    statement, source = LOSS.format(which), "tutorial on self-supervised learning, advice on judging features"
    expected = (
        f"rank correlation of low loss with kNN top-1 over {over} (at least {FEWEST_RANKED}), mean of a seed,"
        f" below {RANKS_ALIKE:g}"
    )
    if not found:
        why = f"no finished run with loss and kNN top-1 of {FEWEST_RANKED} {over}"
        return unmeasured(statement, source, expected, why, LOSS_RUN)
    seen = f"rank correlation {across_seeds([one for many in found.values() for one in many])}"
    outcomes = {seed: round(fmean(many), 9) < RANKS_ALIKE for seed, many in found.items()}
    return as_row(check_claim(statement, source, expected, outcomes, seen), LOSS_RUN)


def over_recipes(records: Iterable[Record]) -> dict[int, list[float]]:
    """Seed -> rank correlations, one for each data set and training settings."""
    groups: dict[tuple[Any, ...], dict[str, tuple[str, float, float]]] = {}
    for record in records:
        loss, value = (record.get("pretraining") or {}).get("final_loss"), top1_of(record)
        if loss is not None and value is not None:
            settings = json.dumps(record["params"].get("training"), sort_keys=True)
            group = groups.setdefault((record["dataset"], settings, record["seed"]), {})
            group[record["pretraining"]["key"]] = record["method"], -loss, value
    of_seed: dict[tuple[Any, ...], float] = {}
    for key, cells in groups.items():
        methods, losses, values = zip(*cells.values(), strict=True)
        ranked = spearman(losses, values).value
        if len(set(methods)) > 1 and len(cells) >= FEWEST_RANKED and ranked is not None:
            of_seed[key] = ranked
    return by_seed(of_seed)


def over_epochs(records: Iterable[Record]) -> dict[int, list[float]]:
    """Seed -> rank correlations, one for each training with a curve."""
    found: dict[tuple[Any, ...], float] = {}
    for record in records:
        took = record.get("pretraining") or {}
        points = [(-point["loss"], top1_of(point)) for point in took.get("curve") or []]
        known = [(loss, value) for loss, value in points if value is not None]
        if len(known) >= FEWEST_RANKED:
            ranked = spearman(*zip(*known, strict=True)).value
            if ranked is not None:
                found[took["key"], record["seed"]] = ranked
    return by_seed(found)


def top1_of(record: Record) -> float | None:
    """kNN top-1 of a record, or of a point of its curve."""
    return ((record.get("metrics") or {}).get("knn_top1") or {}).get("value")


def published() -> Row:
    """A figure and the protocol it is said to be of, against the authors' own table."""
    named = [protocol for protocol in ("k-NN", "linear") if DINOV2[protocol] == DINOV2["claimed"]]
    return as_row(
        drawn_from_nothing(
            f"DINOv2 ViT-g reaches {DINOV2['claimed']}% on ImageNet with a linear layer",
            "tutorial on self-supervised learning, table of published results",
            "the figure that the authors give for a linear layer (Oquab et al. 2023, DINOv2, table 4)",
            "linear" in named,
            f"the authors give {DINOV2['linear']} linear and {DINOV2['k-NN']} for k-NN; {DINOV2['claimed']} is their"
            f" {' and '.join(named) or 'neither'}",
        ),
        "sslbench claims",
    )


def key_of(record: Record) -> tuple[Any, ...]:
    """What two runs must share to be compared; the seed last."""
    device = record["params"].get("training", {}).get("device")
    return record["dataset"], record["backbone"], record["augmentation"], device, record["seed"]


def matched(records: Iterable[Record], test: Callable[[Record], bool]) -> dict[tuple[Any, ...], Record]:
    """The records that pass, by masking and ``key_of``; of several, the last."""
    return {(r["masking"], *key_of(r)): r for r in records if test(r)}


def by_seed(values: Mapping[tuple[Any, ...], float]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for key, value in values.items():
        found.setdefault(key[-1], []).append(value)
    return found


def agreed(outcomes: list[bool]) -> bool | None:
    """What all of them say; None where they differ."""
    return outcomes[0] if len(set(outcomes)) == 1 else None
