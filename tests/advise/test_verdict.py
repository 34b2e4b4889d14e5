"""The decision rule, case by case, and its interval against scipy's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import binomtest

from sslbench.advise.verdict import Evidence, Share, decide

USUAL = Evidence("vits", Share(0.75, 400), 100, {20: 0.6, 50: 0.7}, Share(0.4, 400), Share(0.6, 400))


@pytest.mark.parametrize(("right", "images"), [(0, 20), (20, 20), (300, 400), (7, 10), (1, 1)])
def test_the_interval_is_wilsons(right, images):
    expected = binomtest(right, images).proportion_ci(method="wilson")
    assert Share(right / images, images).interval == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({"linear": Share(0.95, 2000)}, "stop", "Stop here: a linear layer on the frozen model is enough. Fine"),
        (
            {"linear": Share(0.90, 100)},
            "stop",
            "the interval begins at 82.6%: more images to evaluate on would settle it",
        ),
        (
            {},
            "fine-tune",
            "Fine-tune with the small learning rate (backbone a hundredth of the head's), beside training",
        ),
        ({"linear": Share(0.5, 400), "scratch": None}, "fine-tune", "far from the 70% at which fine-tuning is known"),
        ({"labels_a_class": 19}, "more labels", "with 19 labels a class, fine-tuning mostly learns them by heart"),
        ({"scratch": Share(0.75, 400)}, "another model", "nothing that they do not have without it"),
        ({"pixels": Share(0.8, 400)}, "another model", "nothing that they do not have without it"),
        ({"is_baseline": True}, "another model", "No pretrained model was tried"),
        ({"is_baseline": True, "linear": Share(0.97, 400)}, "stop", "Stop here"),
        ({"scratch": Share(0.97, 400), "linear": Share(0.93, 400)}, "stop", "Stop here"),
        ({"linear": None, "reason": "the features are not finite"}, "undecided", "the features are not finite"),
    ],
)
def test_the_rule(change, verdict, words):
    advice = decide(replace(USUAL, **change))
    assert advice.verdict == verdict
    assert words in advice.headline


def test_the_reasons_are_the_numbers():
    assert decide(USUAL).reasons == (
        "The linear probe on vits gets 75.0% (95% interval 70.5% to 79.0%, 400 images) right.",
        "A small network trained from scratch on the same labels gets 60.0%.",
        "The same probe on the pixels themselves gets 40.0%.",
        "From 20 to 50 labels a class the model gained 10.0 points: more labels will help.",
    )
    flat = decide(replace(USUAL, curve={20: 0.745, 50: 0.75}, scratch=None, pixels=None))
    assert flat.reasons[1:] == (
        "From 20 to 50 labels a class the model gained 0.5 points: more labels will hardly help.",
    )
    assert len(decide(replace(USUAL, curve={1: 0.4})).reasons) == 3
