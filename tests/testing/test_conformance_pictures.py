"""Pictures that a wrong evaluator yields are named with what is wrong."""

from __future__ import annotations

import itertools

import pytest
import torch

from sslbench import BuildContext, EvaluatorSpec, Metric, Picture
from sslbench.testing.conformance import problems as problems_of

IMAGE = torch.zeros(3, 8, 8, dtype=torch.uint8)
GOOD = Picture("good", IMAGE, "Nothing in particular.")


def problems(*rounds):
    """Of an evaluator that yields the pictures of the first round, then those of the last."""
    turns = itertools.chain(rounds, itertools.repeat(rounds[-1]))

    class Drawing:
        def evaluate(self, data):
            finite = bool(torch.isfinite(data.train.features).all())
            yield Metric("m", 0.5) if finite else Metric("m", None, reason="no numbers")
            yield from next(turns)

    def build(params, context: BuildContext):
        return Drawing()

    lines = problems_of(EvaluatorSpec(name="drawing", summary="Draws.", build=build, headline="m"))
    return [line.removeprefix("evaluator 'drawing': ") for line in lines]


def test_good_pictures_are_no_problem():
    assert problems([GOOD]) == []


@pytest.mark.parametrize(
    "other",
    [
        [],
        [Picture("good", IMAGE + 1, GOOD.caption)],
        [Picture("good", IMAGE, "Something else.")],
    ],
)
def test_a_picture_is_the_same_for_the_same_features(other):
    assert problems([GOOD], other) == ["picture 'good' differs for the same features and seed"]


def test_a_picture_that_cannot_be_kept_is_named():
    (problem,) = problems([Picture("Bad name", IMAGE, "A caption.")])
    assert problem.startswith("picture 'Bad name': its name; allowed: lower-case letters, digits and hyphens")
