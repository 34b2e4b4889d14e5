"""A published number, and whether it belongs to the protocol that it is said to belong to."""

from __future__ import annotations

from dataclasses import dataclass

from sslbench.claims.claim_row import ClaimRow, Hypothesis


@dataclass(frozen=True)
class PublishedTop1:
    """ImageNet top-1 of a frozen model, percent."""

    claimed: float
    """said to be that of a linear layer"""
    knn: float
    """by the authors' table"""
    linear: float
    """by the authors' table"""


DINOV2 = PublishedTop1(claimed=83.5, knn=83.5, linear=86.5)
"""of the ViT-g/14: what the tutorial calls linear, and what its authors give for each protocol"""


def published(numbers: PublishedTop1 = DINOV2) -> ClaimRow:
    """The number of the tutorial against the authors' own table."""
    claim = Hypothesis(
        f"DINOv2 ViT-g reaches {numbers.claimed}% on ImageNet with a linear layer",
        "tutorial on self-supervised learning, table of published results",
        "the number that the authors give for a linear layer (Oquab et al. 2023, DINOv2, table 4)",
        "sslbench claims",
    )
    protocols = {"k-NN": numbers.knn, "linear": numbers.linear}
    matching = [protocol for protocol, top1 in protocols.items() if top1 == numbers.claimed]
    measured = (
        f"the authors give {numbers.linear} linear and {numbers.knn} for k-NN; {numbers.claimed} is their"
        f" {' and '.join(matching) or 'neither'}"
    )
    return claim.without_seeds("holds" if "linear" in matching else "fails", f"{measured}; nothing is drawn")
