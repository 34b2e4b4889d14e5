"""How many negatives an anchor of NT-Xent has, counted in the loss of the installed method."""

from __future__ import annotations

from sslbench.claims.claim_row import ClaimRow, Hypothesis
from sslbench.claims.defaults import CONTRASTIVE, NETWORK
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import Registry
from sslbench.measure.negatives import negatives_per_anchor
from sslbench.plan.reference import Reference
from sslbench.plan.single import chosen
from sslbench.train.task import build_method

CLAIM = Hypothesis(
    "every anchor of NT-Xent has 2(N - 1) negatives in a batch of N images",
    "Chen et al. 2020, SimCLR, section 2.1",
    "2(N - 1) for every N that is tried, to within 0.1%",
    "sslbench claims",
)
SIZE = 32
"""side of the images, pixels"""
BATCHES = (2, 8, 32, 128)
TOLERANCE = 1e-3
"""of the count, as a share of it"""


def negatives(registry: Registry) -> ClaimRow:
    """The claim, for batches of several sizes."""
    try:
        method = chosen("method", Reference(CONTRASTIVE), registry)
        backbone = chosen("backbone", Reference(NETWORK), registry)
    except SslbenchError as error:
        return CLAIM.unmeasured(error.messages[0])
    built = build_method(method, backbone, BuildContext(image_size=SIZE))
    counts = {images: negatives_per_anchor(built, images, SIZE) for images in BATCHES}
    right = all(abs(count - 2 * (n - 1)) <= TOLERANCE * 2 * (n - 1) for n, count in counts.items())
    measured = ", ".join(f"N = {images}: {count:.1f}" for images, count in counts.items())
    return CLAIM.without_seeds("holds" if right else "fails", f"{measured}; nothing is drawn")
