"""Whether MoCo's queue makes a small batch do as well as a large one."""

from __future__ import annotations

from collections.abc import Iterable

from sslbench.claims.claim_row import ClaimRow, Hypothesis
from sslbench.claims.defaults import EVALUATOR, QUEUED
from sslbench.claims.same_setting import Setting, by_seed, setting_of, top1_of, unanimous
from sslbench.store.record import Record

LOSS = 0.02
"""top-1 that a small batch may lose"""
CLAIM = Hypothesis(
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


def moco_queue(records: Iterable[Record]) -> ClaimRow:
    """Top-1 of the smallest batch against the largest at one queue size, seed by seed."""
    groups: dict[Setting, dict[int, float]] = {}
    for record in records:
        top1 = top1_of(record)
        if record.method == QUEUED and top1 is not None:
            queue_size = record.params["method"].get("queue_size")
            of_batch = groups.setdefault(setting_of(record, f"queue_size={queue_size}"), {})
            of_batch[record.params["training"]["batch_size"]] = top1
    changes = by_seed(
        {
            setting: of_batch[min(of_batch)] - of_batch[max(of_batch)]
            for setting, of_batch in groups.items()
            if len(of_batch) > 1
        }
    )
    if not changes:
        return CLAIM.unmeasured("no finished runs of MoCo at one queue size and two batch sizes")
    return CLAIM.by_seeds(changes, unanimous(lambda change: change >= -LOSS), "top-1 changes by {}")
