"""The claim: labelling 1% of the internet's images costs fifty million dollars."""

from __future__ import annotations

from collections.abc import Iterable

from sslbench import Claim, check_claim
from sslbench_plugins.simulators.label_bottleneck.costs import POOL, labelling_cost, share_of

SOURCE = "tutorial on self-supervised learning, exercise on the label bottleneck"
SHARE, CLAIMED = 0.01, 50_000_000
"""share of the images, and the dollars that the sentence says"""


def fifty_million(seeds: Iterable[int], price: float = POOL.price) -> Claim:
    """The same on every seed, since nothing is drawn; ``price`` in dollars a label."""
    labels = share_of(POOL.images, SHARE)
    cost = labelling_cost(labels, price)
    return check_claim(
        "labelling 1% of five billion images at one cent each costs fifty million dollars",
        SOURCE,
        f"{POOL.images:,} x {SHARE} x ${price} = ${CLAIMED:,}",
        dict.fromkeys(seeds, cost == CLAIMED),
        f"{labels:,} labels cost ${cost:,.0f}, which is {cost / CLAIMED:g} of what is said; nothing is drawn",
    )
