"""What speaks against an answer, or is missing for one, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sslbench.report.defaults import NO_TRAINING, PIXELS
from sslbench.report.ranking import SIGNIFICANT
from sslbench.report.standing import Standing
from sslbench.report.text import plural
from sslbench.report.view import View
from sslbench.statistics.shares import above_share


def no_better_than_constant(standing: Standing) -> Iterator[str]:
    """Where always the most frequent class may be as good an answer."""
    mean = standing.view.ranking.means(standing.metric)[standing.best]
    for majority in standing.view.majorities:
        share = majority.value(standing.metric.name)
        if majority.dataset != standing.dataset or share is None or mean is None:
            continue
        images = majority.facts.test_images
        if mean <= share:
            yield f"That is no better than always the same answer, which gets {100 * share:.1f}%."
        elif share == majority.facts.majority_share and above_share(int(mean * images), images, share) >= SIGNIFICANT:
            yield f"That it is better than always the same answer, which gets {100 * share:.1f}%, may be chance."


def missing_baselines(standing: Standing) -> Iterator[str]:
    """How to add what the best row has to be held against."""
    best = standing.recipe(standing.best)
    if best.is_baseline:
        return
    untrained, pixels = standing.baselines
    missing = {}
    if untrained is None and best.row.name("backbone"):
        missing[NO_TRAINING] = "no training"
    if pixels is None and not any(PIXELS in reason for reason in standing.view.aggregate.skipped):
        missing[PIXELS] = "the pixels"
    if missing:
        options = " ".join(f"-m {name}" for name in missing)
        yield f"Not measured beside it: {' and '.join(missing.values())} ({options})."


def few_seeds(standing: Standing) -> Iterator[str]:
    """Where the tests cannot speak of other seeds, or hardly of any."""
    seeds = max(standing.recipe(row).metrics[standing.metric.label].n for row in standing.rows)
    if len(standing.rows) > 1 and seeds == 1:
        yield "Seeds were not varied, and others may give another order: --seeds 0,1,2."
    elif len(standing.rows) > 1 and seeds == 2 and standing.ties:
        yield "Two seeds tell hardly anything apart: --seeds 0-4."


def without_result(view: View) -> Iterator[str]:
    """Cells that were run and gave none, counted, where others did."""
    records = [record for recipe in view.aggregate.recipes for record in recipe.row.records]
    failed = Counter(record.status for record in records if not record.finished)
    if failed and failed.total() < len(records):
        counts = ", ".join(f"{count:,} {status}" for status, count in failed.items())
        yield f"{plural(failed.total(), 'cell')} of {len(records):,} gave no result: {counts}."


def unfinished(view: View) -> Iterator[str]:
    """What was asked for and is not run yet, counted."""
    cells, missing = (sum(getattr(item, name) for item in view.unfinished) for name in ("cells", "missing"))
    if missing:
        yield f"That is so far: {missing:,} of {plural(cells, 'cell')} are not run yet."
