"""The decision rule, case by case: never on what chance explains."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslbench.advise.verdict import Against, Evidence, decide, rounded
from sslbench.statistics.intervals import Difference
from sslbench.statistics.shares import Share, accuracy

IMAGES = "400 images to evaluate on"


def beside(name, value, mean, half=0.04, p=0.001, needed=None):
    return Against(name, value, Difference(mean, mean - half, mean + half, p, 400), "McNemar's test", needed)


CONSTANT = beside("always answering 'a'", 0.25, 0.5)
BLIND = replace(beside("answering without looking", 0.25, 0.5), difference=Difference(0.5, None, None, 0.0005, 400))
PIXELS = beside("a linear probe on the pixels", 0.4, 0.35)
UNTRAINED = beside("the same network untrained", 0.5, 0.25)
USUAL = Evidence(
    "vits",
    accuracy(0.75, 400),
    100,
    {20: 0.6, 50: 0.7},
    constant=CONSTANT,
    blind=BLIND,
    baselines=(PIXELS, UNTRAINED),
    images=IMAGES,
)
CHANCE = beside("always answering 'a'", 0.967, 0.0, p=1.0)
MAYBE = beside("always answering 'a'", 0.70, 0.05, half=0.06, p=0.2, needed=617)
NO_BETTER = beside("the same network untrained", 0.73, 0.02, half=0.05, p=0.4, needed=2_345)
WORSE = beside("a linear probe on the pixels", 0.85, -0.1, p=0.001)


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({"linear": accuracy(0.95, 2000)}, "stop", "Stop here: a linear layer on the frozen model is enough. Fine"),
        (
            {"linear": accuracy(0.90, 100)},
            "stop",
            "the interval begins at 82.6%: more images to evaluate on would settle",
        ),
        (
            {},
            "fine-tune",
            "Fine-tune with the small learning rate (backbone a hundredth of the head's), beside training",
        ),
        ({"linear": accuracy(0.5, 400)}, "fine-tune", "far from the 70% at which fine-tuning is known"),
        ({"labels_a_class": 19}, "more labels", "with 19 labels a class, fine-tuning mostly learns them by heart"),
        (
            {"linear": accuracy(1.0, 400), "known": 0.5},
            "no test",
            "Nothing can be said: 50% of the images to evaluate on equal an image to train on. Take these out",
        ),
        ({"linear": accuracy(0.97, 2000), "known": 0.04}, "stop", "Stop here"),
        ({"is_baseline": True}, "another model", "No pretrained model was tried"),
        ({"is_baseline": True, "linear": accuracy(0.97, 400)}, "stop", "Stop here"),
        ({"linear": None, "reason": "the features are not finite"}, "undecided", "the features are not finite"),
        (
            {"linear": accuracy(0.967, 60), "constant": CHANCE},
            "cannot tell",
            "Cannot tell with 400 images to evaluate on: this is no better than always answering 'a'.",
        ),
        (
            {"constant": MAYBE},
            "cannot tell",
            "that it is better than always answering 'a' may be chance; about 620 images would show a difference as",
        ),
        (
            {"constant": MAYBE, "held_out": True},
            "cannot tell",
            "(3,100 with labels in all, of which a fifth is evaluated on)",
        ),
        ({"blind": replace(BLIND, difference=CHANCE.difference)}, "cannot tell", "no better than answering without"),
        ({"constant": None, "blind": None}, "cannot tell", "nobody knows which of them are right"),
        (
            {"baselines": (PIXELS, NO_BETTER)},
            "cannot tell",
            "whether this model is worth more than the same network untrained; about 2,400 images would show",
        ),
        ({"baselines": ()}, "cannot tell", "worth more than baselines (none was measured)"),
        (
            {"baselines": (WORSE, UNTRAINED)},
            "another model",
            "is worse than a linear probe on the pixels: try",
        ),
        ({"baselines": (WORSE,), "linear": accuracy(0.93, 400)}, "stop", "Stop here"),
        # Of unequal classes a constant answer may get more right and yet know nothing: enough to go on, not to stop.
        (
            {"linear": accuracy(0.93, 400), "balanced": Share(0.93, 0.9, 0.95, 400), "constant": CHANCE},
            "fine-tune",
            "Fine-tune with",
        ),
        (
            {"balanced": Share(0.5, 0.4, 0.6, 400), "blind": replace(BLIND, difference=CHANCE.difference)},
            "cannot tell",
            "no better than answering without looking",
        ),
        # What the whole share shows, the mean over classes may not.
        ({"linear": accuracy(0.95, 400), "balanced": Share(0.6, 0.5, 0.7, 400)}, "fine-tune", "Fine-tune"),
    ],
)
def test_the_rule(change, verdict, words):
    advice = decide(replace(USUAL, **change))
    assert advice.verdict == verdict
    assert words in advice.headline


def test_p_alone_is_not_enough_where_the_interval_includes_zero():
    odd = replace(PIXELS, difference=Difference(0.35, -0.01, 0.6, 0.04, 400))
    assert decide(replace(USUAL, baselines=(odd,))).verdict == "cannot tell"


def test_that_a_baseline_is_better_is_corrected_for_their_number():
    """p = 0.03, once in twenty times among two."""
    worse = replace(WORSE, difference=replace(WORSE.difference, p=0.03))
    assert decide(replace(USUAL, baselines=(worse,))).verdict == "another model"
    assert decide(replace(USUAL, baselines=(worse, NO_BETTER))).verdict == "cannot tell"


def test_the_reasons_are_the_numbers_and_the_tests():
    assert decide(replace(USUAL, baselines=(PIXELS, NO_BETTER))).reasons == (
        "The linear probe on vits gets 75.0% (95% interval 70.5% to 79.0%, 400 images) right.",
        "Always answering 'a' gets 25.0%; the model is 50.0 points ahead (95% interval +46.0 to +54.0, p = 0.001,"
        " McNemar's test).",
        "Answering without looking gets 25.0%; the model is 50.0 points ahead (p < 0.001, McNemar's test).",
        "A linear probe on the pixels gets 40.0%; the model is 35.0 points ahead (95% interval +31.0 to +39.0,"
        " p = 0.001, McNemar's test).",
        "The same network untrained gets 73.0%; the model is 2.0 points ahead (95% interval -3.0 to +7.0, p = 0.400,"
        " McNemar's test): not told apart; about 2,400 images would show this difference (80% power).",
        "From 20 to 50 labels a class the model gained 10.0 points.",
    )
    unequal = decide(replace(USUAL, balanced=Share(0.6, 0.5, 0.7, 400))).reasons
    assert unequal[1].endswith("accuracy counts, the mean over classes: 60.0% (95% interval 50.0% to 70.0%).")
    assert unequal[4].startswith(
        "A linear probe on the pixels gets 40.0% of balanced accuracy; the model is 35.0 points"
    )


def test_numbers_of_images_are_not_more_exact_than_what_they_come_from():
    assert [rounded(number) for number in (7, 99, 101, 617, 2_345, 10_000)] == [7, 99, 110, 620, 2_400, 10_000]
