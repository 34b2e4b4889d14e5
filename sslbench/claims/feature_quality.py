"""Claims about the k-NN top-1 of finished runs: what MoCo's queue does for it, and whether a loss tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sslbench.claims.claim_row import ClaimRow, Hypothesis, Setting, by_seed, setting_of, unanimous
from sslbench.claims.defaults import EVALUATOR, GAUSSIAN, NETWORK, QUEUED, SHARE, TOP1, TRAINED_ALIKE
from sslbench.statistics.correlation import spearman
from sslbench.statistics.intervals import LEVEL
from sslbench.statistics.shares import accuracy, compare_unpaired
from sslbench.store.record import CurvePoint, Record

LOSS = 0.02
"""top-1 that a small batch may lose"""
QUEUE = Hypothesis(
    "with MoCo's queue a small batch does as well as a large one",
    "He et al. 2020, MoCo, section 3.1: the queue decouples the dictionary from the batch",
    f"kNN top-1 of the smallest batch at most {LOSS:g} below that of the largest, at one queue size",
    "".join(
        f"sslbench run -m {QUEUED}:queue_size=1024 -e {EVALUATOR} --seeds 0,1,2 --batch-size {size}"
        f" --out sslbench-results/{QUEUED}-{size} && "
        for size in (32, 256)
    )
    + "sslbench claims",
)
CORRELATED, FEWEST = 0.8, 4
"""rank correlation from which on low loss would be a measure of quality; and how many there must be to rank"""
APART = "the best and the worst further apart than chance explains"
LOSS_COMMAND = (
    f"sslbench run {' '.join(f'-m {name}' for name in TRAINED_ALIKE)} -b {NETWORK} -e {EVALUATOR} --seeds 0,1,2"
    f" --epochs 5 --set curve_every=1 --set curve={EVALUATOR} --out sslbench-results/losses && sslbench claims"
)

RANKS = Hypothesis(
    "LeJEPA's training loss ranks quality",
    "Balestriero and LeCun 2025, LeJEPA: 94% rank correlation of training loss and accuracy",
    f"rank correlation of low loss with kNN top-1 over recipes of one lambda (at least {FEWEST}, {APART}), on one data"
    f" set and backbone, mean of a seed, at least {CORRELATED:g}",
    "sslbench run "
    + " ".join(f"-m {GAUSSIAN}:lr={rate:g},epochs={epochs}" for rate in (2e-4, 5e-4, 2e-3) for epochs in (2, 5))
    + f" -b {NETWORK} -e {EVALUATOR} --seeds 0,1,2 --out sslbench-results/{GAUSSIAN} && sslbench claims",
)


def moco_queue(records: Iterable[Record]) -> ClaimRow:
    """Top-1 of the smallest batch against the largest at one queue size, seed by seed."""
    groups: dict[Setting, dict[int, float]] = {}
    for record in records:
        top1 = top1_of(record)
        if record.method == QUEUED and top1 is not None:
            setting = setting_of(record, f"queue_size={record.params['method'].get('queue_size')}")
            groups.setdefault(setting, {})[record.params["training"]["batch_size"]] = top1
    changes = by_seed({key: tops[min(tops)] - tops[max(tops)] for key, tops in groups.items() if len(tops) > 1})
    if not changes:
        return QUEUE.without_seeds("no finished runs of MoCo at one queue size and two batch sizes")
    return QUEUE.by_seeds(
        changes, lambda values: unanimous([change >= -LOSS for change in values]), "top-1 changes by {}"
    )


def pretext_loss(records: Iterable[Record]) -> list[ClaimRow]:
    """How well low loss ranks k-NN top-1, seed by seed: over the recipes of a run, and over the epochs of a curve."""
    records = list(records)
    recipes, epochs = "recipes of two methods or more, trained alike on one data set", "epochs of one training"
    by_epoch = "it does not say at which epoch of a training features are best"
    return [
        loss_claim("it does not rank methods", recipes, over_recipes(records)),
        loss_claim(by_epoch, epochs, over_epochs(records)),
    ]


def loss_claim(statement: str, ranked: str, rankings: Mapping[int, list[Ranking]]) -> ClaimRow:
    """``rankings``: by seed; over what is ``ranked``, in words."""
    claim = Hypothesis(
        f"pretext loss is no measure of quality: {statement}",
        "tutorial on self-supervised learning, advice on evaluating features",
        f"rank correlation of low loss with kNN top-1 over {ranked} (at least {FEWEST}, {APART}), mean of a seed,"
        f" below {CORRELATED:g}",
        LOSS_COMMAND,
    )
    if not rankings:
        return claim.without_seeds(f"no finished run with loss and kNN top-1 of {FEWEST} {ranked}")
    return of_rankings(claim, rankings, lambda values: round(fmean(values), 9) < CORRELATED)


@dataclass(frozen=True)
class Ranking:
    """How well low loss ranks some top-1: the rank correlation, and whether there is anything to rank."""

    correlation: float
    apart: bool
    """whether the best and the worst differ by more than chance explains"""

    @classmethod
    def of(cls, losses: Sequence[float], tops: Sequence[float], record: Record) -> Ranking | None:
        """Of top-1 on the test images of ``record``; None of fewer than four, and where all are equal."""
        correlation = spearman([-loss for loss in losses], tops).value
        if len(tops) < FEWEST or correlation is None:
            return None
        images = record.data.test_images if record.data else 0
        p = compare_unpaired(accuracy(max(tops), images), accuracy(min(tops), images))[0].p if images else None
        return cls(correlation, p is not None and p < 1 - LEVEL)


def of_rankings(
    claim: Hypothesis, rankings: Mapping[int, list[Ranking]], test: Callable[[Sequence[float]], bool]
) -> ClaimRow:
    """The row of a claim about correlations; a seed on which there is nothing to rank tells nothing."""
    alike = [seed for seed, of_seed in rankings.items() if not all(one.apart for one in of_seed)]
    words = f"rank correlation {{}}{'; the best and the worst are not told apart' if alike else ''}"
    values = {seed: [one.correlation for one in of_seed] for seed, of_seed in rankings.items()}
    return claim.by_seeds(values, test, words, alike)


def over_recipes(records: Sequence[Record]) -> dict[int, list[Ranking]]:
    """By seed, one for each data set and training settings."""
    groups: dict[Setting, dict[str | None, tuple[str, float, float, Record]]] = {}
    for record in records:
        training, top1 = record.pretraining, top1_of(record)
        if training is not None and training.final_loss is not None and top1 is not None:
            settings = json.dumps(record.params.get("training"), sort_keys=True)
            group = groups.setdefault((record.dataset, settings, record.seed), {})
            group[training.key] = record.method, training.final_loss, top1, record
    rankings = {}
    for key, recipes in groups.items():
        methods, losses, tops, (one, *_) = zip(*recipes.values(), strict=True)
        if len(set(methods)) > 1 and (ranking := Ranking.of(losses, tops, one)):
            rankings[key] = ranking
    return by_seed(rankings)


def lejepa_loss(records: Iterable[Record]) -> ClaimRow:
    """How well LeJEPA's loss ranks recipes that have one lambda, seed by seed."""
    groups: dict[Setting, dict[str | None, tuple[float, float, Record]]] = {}
    for record in records:
        training, top1 = record.pretraining, top1_of(record)
        if record.method == GAUSSIAN and training is not None and training.final_loss is not None and top1 is not None:
            settings = {name: value for name, value in record.params["training"].items() if name != "epochs"}
            alike = json.dumps([settings, record.params.get("backbone")], sort_keys=True)
            share = record.params["method"].get(SHARE)
            group = groups.setdefault((record.dataset, record.backbone, alike, share, record.seed), {})
            group[training.key] = training.final_loss, top1, record
    rankings = {}
    for key, recipes in groups.items():
        losses, tops, (one, *_) = zip(*recipes.values(), strict=True)
        if ranking := Ranking.of(losses, tops, one):
            rankings[key] = ranking
    if not rankings:
        return RANKS.without_seeds(f"no finished runs of {FEWEST} recipes of LeJEPA with one lambda")
    return of_rankings(RANKS, by_seed(rankings), lambda values: round(fmean(values), 9) >= CORRELATED)


def over_epochs(records: Sequence[Record]) -> dict[int, list[Ranking]]:
    """By seed, one for each training with a curve."""
    rankings: dict[Setting, Ranking] = {}
    for record in records:
        training = record.pretraining
        points = (training.curve or ()) if training else ()
        known = [(p.loss, top1) for p in points if p.loss is not None and (top1 := top1_of(p)) is not None]
        if training is not None and known:
            losses, tops = zip(*known, strict=True)
            if ranking := Ranking.of(losses, tops, record):
                rankings[training.key, record.seed] = ranking
    return by_seed(rankings)


def top1_of(measured: Record | CurvePoint) -> float | None:
    """k-NN top-1 (0..1) of a record or of a point of its curve, or None."""
    metric = measured.metrics.get(TOP1)
    return metric.value if metric else None
