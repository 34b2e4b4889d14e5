"""How many times as fast MAE trains when its encoder sees a quarter of the tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sslbench.claims.claim_row import ClaimRow, Hypothesis
from sslbench.claims.defaults import MASKED
from sslbench.claims.same_setting import by_seed, by_setting, unanimous
from sslbench.contracts.simulator import Verdict
from sslbench.store.record import Record

STATEMENT = "MAE trains at least three times as fast when the encoder sees 25% of the tokens"
SOURCE = "He et al. 2022, Masked Autoencoders, abstract"
COMMAND = "sslbench speed && sslbench claims"
TIMED = Hypothesis(
    STATEMENT,
    SOURCE,
    "times as fast as with mask tokens in the encoder, the same decoder: intervals above 3 for every model",
    COMMAND,
)
TRAINED = Hypothesis(
    STATEMENT,
    SOURCE,
    "images per second at a mask ratio of 0.75, over those with (nearly) all tokens, at least 3",
    COMMAND,
)
TIMES = 3.0
FEW_TOKENS, ALL_TOKENS = 0.75, 0.05
"""the mask ratio of the claim, and the largest that counts as no masking"""
BASELINE = "like for like"
"""of the built-in speed suite: the same model whose encoder sees mask tokens"""


def speed_up(records: Iterable[Record], timed: Iterable[Record] = ()) -> ClaimRow:
    """By the steps that ``sslbench speed`` timed in turn, if there are any; else by trainings, seed by seed."""
    ratios = {title: ratio for record in timed for title, ratio in ratios_of(record)}
    return by_timed_steps(ratios) if ratios else by_trainings(records)


@dataclass(frozen=True)
class SpeedRatio:
    """How many times as fast a timed row is as its baseline."""

    ratio: float
    low: float
    """of its interval"""
    high: float

    @property
    def verdict(self) -> Verdict:
        """On the claim, by the whole interval."""
        return "holds" if self.low >= TIMES else "fails" if self.high < TIMES else "undecided"

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratios_of(record: Record) -> list[tuple[str, SpeedRatio]]:
    """Of a speed row of MAE at the claim's mask ratio: the model in words, and its ratio to the baseline."""
    if record.method != MASKED or record.mask_ratio != FEW_TOKENS or record.speed is None:
        return []
    size = record.params.get("backbone", {}).get("size", "")
    depth = record.params["method"].get("decoder_depth")
    model = " ".join(filter(None, [record.backbone, size]))
    title = f"{model} on {record.speed['device']}, decoder depth {depth}"
    against: list[Mapping[str, Any]] = record.speed["against"]
    return [
        (title, SpeedRatio(pair["ratio"], pair["low"], pair["high"]))
        for pair in against
        if BASELINE in pair["baselines"]
    ]


def by_timed_steps(ratios: Mapping[str, SpeedRatio]) -> ClaimRow:
    """Holds where the interval of every model lies above 3, fails where that of every model lies below."""
    verdicts = {ratio.verdict for ratio in ratios.values()}
    measured = "; ".join(f"{title}: {ratio}" for title, ratio in ratios.items())
    return TIMED.without_seeds(verdicts.pop() if len(verdicts) == 1 else "undecided", measured)


def by_trainings(records: Iterable[Record]) -> ClaimRow:
    """Images per second of trainings at a mask ratio of 0.75, over those that mask hardly anything."""
    speeds = [record for record in records if record.method == MASKED and images_per_second(record)]
    few = by_setting(speeds, lambda record: record.mask_ratio == FEW_TOKENS)
    full = by_setting(speeds, lambda record: record.mask_ratio is not None and record.mask_ratio <= ALL_TOKENS)
    ratios = by_seed({key: images_per_second(few[key]) / images_per_second(full[key]) for key in few if key in full})
    if not ratios:
        return TRAINED.unmeasured(
            f"no finished run of MAE at a mask ratio of {FEW_TOKENS:g} and at one of at most {ALL_TOKENS:g}"
        )
    return TRAINED.by_seeds(ratios, unanimous(lambda ratio: ratio >= TIMES), "{} times as fast")


def images_per_second(record: Record) -> float:
    """Of its training; 0 where nobody knows."""
    return (record.pretraining.images_per_second or 0.0) if record.pretraining else 0.0
