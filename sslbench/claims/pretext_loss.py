"""Whether a low pretext loss says that features are good: over recipes, and over the epochs of a training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from statistics import fmean

from sslbench.claims.claim_row import ClaimRow, Hypothesis
from sslbench.claims.defaults import EVALUATOR, NETWORK, TRAINED_ALIKE
from sslbench.claims.same_setting import top1_of
from sslbench.statistics.correlation import spearman
from sslbench.store.record import Record

CORRELATED = 0.8
"""rank correlation from which on low loss would be a measure of quality"""
FEWEST = 4
"""that can be ranked"""
RECIPES = "recipes of two methods or more, trained alike on one data set"
EPOCHS = "epochs of one training"
COMMAND = (
    f"sslbench run {' '.join(f'-m {name}' for name in TRAINED_ALIKE)} -b {NETWORK} -e {EVALUATOR} --seeds 0,1,2"
    f" --set curve_every=1 --set curve={EVALUATOR} --out sslbench-results/losses && sslbench claims"
)


def pretext_loss(records: Iterable[Record]) -> list[ClaimRow]:
    """How well low loss ranks k-NN top-1, seed by seed: over the recipes of a run, and over the epochs of a curve."""
    records = list(records)
    return [
        loss_claim("it does not rank methods", RECIPES, over_recipes(records)),
        loss_claim("it does not say at which epoch of a training features are best", EPOCHS, over_epochs(records)),
    ]


def loss_claim(statement: str, ranked: str, correlations: Mapping[int, list[float]]) -> ClaimRow:
    """``correlations``: seed -> rank correlations of low loss with top-1 over what is ``ranked``, in words."""
    claim = Hypothesis(
        f"pretext loss is no measure of quality: {statement}",
        "tutorial on self-supervised learning, advice on evaluating features",
        f"rank correlation of low loss with kNN top-1 over {ranked} (at least {FEWEST}), mean of a seed,"
        f" below {CORRELATED:g}",
        COMMAND,
    )
    if not correlations:
        return claim.unmeasured(f"no finished run with loss and kNN top-1 of {FEWEST} {ranked}")
    return claim.by_seeds(correlations, lambda values: round(fmean(values), 9) < CORRELATED, "rank correlation {}")


def over_recipes(records: Iterable[Record]) -> dict[int, list[float]]:
    """Seed -> rank correlations, one for each data set and training settings."""
    groups: dict[tuple[str | None, str, int], dict[str | None, tuple[str, float, float]]] = {}
    for record in records:
        training, top1 = record.pretraining, top1_of(record)
        if training is not None and training.final_loss is not None and top1 is not None:
            settings = json.dumps(record.params.get("training"), sort_keys=True)
            group = groups.setdefault((record.dataset, settings, record.seed), {})
            group[training.key] = record.method, -training.final_loss, top1
    correlations: dict[int, list[float]] = {}
    for (_, _, seed), recipes in groups.items():
        methods, losses, tops = zip(*recipes.values(), strict=True)
        correlation = spearman(losses, tops).value
        if len(set(methods)) > 1 and len(recipes) >= FEWEST and correlation is not None:
            correlations.setdefault(seed, []).append(correlation)
    return correlations


def over_epochs(records: Iterable[Record]) -> dict[int, list[float]]:
    """Seed -> rank correlations, one for each training with a curve."""
    of_training: dict[tuple[str | None, int], float] = {}
    for record in records:
        training = record.pretraining
        points = (training.curve or ()) if training else ()
        known = [(-p.loss, top1) for p in points if p.loss is not None and (top1 := top1_of(p)) is not None]
        if training is not None and len(known) >= FEWEST:
            losses, tops = zip(*known, strict=True)
            correlation = spearman(losses, tops).value
            if correlation is not None:
                of_training[training.key, record.seed] = correlation
    correlations: dict[int, list[float]] = {}
    for (_, seed), correlation in of_training.items():
        correlations.setdefault(seed, []).append(correlation)
    return correlations
