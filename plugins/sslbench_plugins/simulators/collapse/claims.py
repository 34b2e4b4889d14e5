"""The sentences on collapse, each tested on what was measured of several trainings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sslbench import Claim
from sslbench_plugins.blocks.studies.results import SeedResults

VICREG = "Bardes et al. 2022, VICReg, section 4 and its ablations"
BARLOW = "Zbontar et al. 2021, Barlow Twins, sections 2 and 4"
SWAV = "Caron et al. 2020, SwAV, section 3.1 and the part on small batches"
FLAT, LIVE = 0.05, 0.5
"""deviations: below the first all images have one embedding, above the second they have not"""
FACTOR, MARGIN = 2, 0.02
"""a ratio that is a difference, and a difference of accuracy that is none"""
MANY = 8
"""of the sixteen prototypes"""
Measured = Mapping[str, Mapping[str, float]]
"""what was trained -> what was measured of it on one seed"""


def all_claims(measured: Mapping[int, Measured]) -> list[Claim]:
    """VICReg's, Barlow Twins' and SwAV's; ``measured``: of each seed."""
    vicreg, barlow, swav = (SeedResults(source, measured) for source in (VICREG, BARLOW, SWAV))
    return [*vicreg_claims(vicreg), *barlow_claims(barlow), *swav_claims(swav)]


def words(seeds: SeedResults[Measured], measure: str, *trainings: str) -> str:
    """One measure of several trainings over the seeds."""

    def value(of: Measured, training: str) -> float:
        return of[training][measure]

    return "; ".join(f"{training}: {seeds.spread(partial(value, training=training))}" for training in trainings)


def vicreg_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """What each of its terms is for: it is taken away."""
    whole, *without = ("vicreg", *(f"vicreg without {term}" for term in ("variance", "covariance", "invariance")))
    variance, covariance, invariance = without
    return [
        seeds.claim(
            "VICReg without its variance term collapses: all images get one embedding",
            f"deviation of embeddings below {FLAT} without the term, above {LIVE} with it",
            lambda of: of[variance]["deviation"] < FLAT and of[whole]["deviation"] > LIVE,
            words(seeds, "deviation", whole, variance),
        ),
        seeds.claim(
            "VICReg without its covariance term collapses to few dimensions",
            f"embeddings spread over fewer than 1/{FACTOR} of the dimensions that they have with it",
            lambda of: FACTOR * of[covariance]["dimensions"] < of[whole]["dimensions"],
            words(seeds, "dimensions", whole, covariance),
        ),
        seeds.claim(
            "VICReg without its invariance term does not collapse, but views of an image differ",
            f"deviation above {LIVE}; views are {FACTOR} times as far apart, as a share of two images' distance",
            lambda of: (
                of[invariance]["deviation"] > LIVE and of[invariance]["views_apart"] > FACTOR * of[whole]["views_apart"]
            ),
            words(seeds, "views_apart", whole, invariance),
        ),
    ]


def barlow_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """It needs no teacher, and both of its terms."""
    whole, repeated = "barlow-twins", "barlow-twins without redundancy"
    return [
        seeds.claim(
            "Barlow Twins does not collapse, without a teacher, a predictor, a stop-gradient or negatives",
            f"spread of embeddings' directions above {LIVE}; accuracy not below that of the untrained encoder",
            lambda of: of[whole]["spread"] > LIVE and of[whole]["accuracy"] >= of["untrained"]["accuracy"],
            f"{words(seeds, 'spread', whole)}; accuracy: {words(seeds, 'accuracy', whole, 'untrained')}",
        ),
        seeds.claim(
            "Barlow Twins without redundancy reduction has dimensions that repeat each other",
            f"embeddings spread over fewer than 1/{FACTOR} of the dimensions that they have with it",
            lambda of: FACTOR * of[repeated]["dimensions"] < of[whole]["dimensions"],
            words(seeds, "dimensions", whole, repeated),
        ),
    ]


def swav_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """Equal shares prevent collapse, and a queue makes up for a small batch."""
    large, unequal = "swav", "swav without equal shares"
    small, queued = "swav small batch", "swav small batch and queue"
    return [
        seeds.claim(
            "SwAV collapses onto one prototype unless codes share the prototypes equally",
            f"fewer than {FACTOR} of 16 prototypes used without equal shares, more than {MANY} with them",
            lambda of: of[unequal]["prototypes_used"] < FACTOR and of[large]["prototypes_used"] > MANY,
            words(seeds, "prototypes_used", large, unequal),
        ),
        seeds.claim(
            "SwAV works with small batches when codes are computed with a queue of past embeddings",
            f"after as many epochs, accuracy of the small batch with a queue not below the large one's less {MARGIN}",
            lambda of: of[queued]["accuracy"] >= of[large]["accuracy"] - MARGIN,
            words(seeds, "accuracy", large, queued),
        ),
        seeds.claim(
            "SwAV with small batches needs that queue",
            f"accuracy of the small batch with a queue above that without one by more than {MARGIN}",
            lambda of: of[queued]["accuracy"] > of[small]["accuracy"] + MARGIN,
            words(seeds, "accuracy", small, queued),
        ),
    ]
