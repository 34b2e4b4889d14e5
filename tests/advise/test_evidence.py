"""What the chosen model is held against, on which images, and how the rows are marked."""

from __future__ import annotations

import numpy as np
import pytest

from sslbench.advise.evidence import EvaluationImages, evidence_of, name_of, with_intervals
from sslbench.advise.rows import Row
from sslbench.advise.verdict import decide

HEALTHY_AND_SICK = EvaluationImages(np.repeat([0, 1], [58, 2]), ("healthy", "sick"), 8, held_out=True)
EQUAL = EvaluationImages(np.repeat([0, 1], [50, 50]), ("a", "b"), 200, held_out=False)


def row(label, kind, predicted, images, **fields):
    right = (np.asarray(predicted) == images.labels).astype(np.uint8)
    return Row(label, kind, linear=float(right.mean()), right=right, **fields)


def advice(predicted, images, *baselines):
    rows = [row("vits", "model", predicted, images), *baselines]
    return decide(evidence_of(rows, 0, images, np.asarray(predicted)))


def test_always_answering_the_most_frequent_class_is_no_reason_to_stop():
    """96.7%, which is the share of that class."""
    found = advice(np.zeros(60, dtype=int), HEALTHY_AND_SICK)
    assert found.verdict == "cannot tell"
    assert found.headline == (
        "Cannot tell with 60 images to evaluate on, 2 of them of 'sick': this is no better than always answering"
        " 'healthy'."
    )
    assert "balanced accuracy counts, the mean over classes: 50.0%" in found.reasons[1]


def test_finding_the_two_of_sixty_that_are_sick_may_be_chance_beside_pixels_that_find_none():
    """More than chance finds, and less than tells two models apart."""
    pixels = row("raw-pixels", "baseline", np.zeros(60, dtype=int), HEALTHY_AND_SICK)
    found = advice(HEALTHY_AND_SICK.labels, HEALTHY_AND_SICK, pixels)
    assert found.verdict == "cannot tell"
    assert found.headline.startswith(
        "Cannot tell with 60 images to evaluate on, 2 of them of 'sick', whether this model is worth more than a linear"
        " probe on the pixels; about "
    )
    assert (
        "the model is 3.3 points ahead (95% interval -2.7 to +3.3, p = 0.262, exact binomial test)" in found.reasons[2]
    )


def test_accuracy_of_unequal_classes_is_not_enough_to_stop():
    """Nineteen of twenty right, and of the small class half."""
    images = EvaluationImages(np.repeat([0, 1], [360, 40]), ("healthy", "sick"), 200, held_out=False)
    predicted = images.labels.copy()
    predicted[-20:] = 0
    evidence = evidence_of([row("vits", "model", predicted, images)], 0, images, predicted)
    assert (evidence.linear.value, evidence.balanced.value) == (0.95, 0.75)
    assert decide(evidence).verdict == "cannot tell"
    assert evidence.constant.ahead
    assert evidence.blind.ahead


@pytest.mark.parametrize(
    ("counts", "unequal"), [((50, 50), False), ((60, 40), False), ((66, 33), True), ((90, 3), True)]
)
def test_classes_are_unequal_where_one_has_twice_the_images_of_another(counts, unequal):
    images = EvaluationImages(np.repeat([0, 1], counts), ("a", "b"), 9, held_out=False)
    assert images.unequal is unequal


def test_a_model_is_held_against_its_own_network_untrained_and_not_that_of_another():
    best = Row("vits", "model")
    rows = [
        (Row("vits, untrained", "untrained", of="vits"), "the same network untrained"),
        (Row("vitb, untrained", "untrained", of="vitb"), ""),
        (Row("raw-pixels", "baseline"), "a linear probe on the pixels"),
        (Row("random-init", "baseline"), "a small untrained network"),
        (Row("from scratch (convnet-small, 3 epochs)", "scratch"), "a small network trained from scratch"),
        (Row("vitb", "model"), ""),
        (Row("always answering 'a'", "constant"), ""),
        (best, ""),
    ]
    assert [name_of(one, best) for one, _ in rows] == [name for _, name in rows]


def test_random_weights_are_no_reason_to_fine_tune():
    """31.5% against the pixels' 26.5% on 200 images of ten classes, with an interval that both share."""
    images = EvaluationImages(np.tile(np.arange(10), 20), tuple("abcdefghij"), 80, held_out=True)
    generator = np.random.default_rng(0)

    def answers(share):
        right = generator.permutation(200) < round(200 * share)
        return np.where(right, images.labels, (images.labels + 1) % 10)

    pixels = row("raw-pixels", "baseline", answers(0.265), images)
    untrained = row("vits, untrained", "untrained", answers(0.31), images, of="vits")
    found = advice(answers(0.315), images, pixels, untrained)
    assert found.verdict == "cannot tell"
    names = "a linear probe on the pixels and the same network untrained"
    assert f"whether this model is worth more than {names}; about" in found.headline


def test_rows_are_marked_by_the_same_tests_and_the_constant_answer_is_the_last():
    perfect = EQUAL.labels
    half_wrong = np.where(np.arange(100) % 2, perfect, 1 - perfect)
    nearly = perfect.copy()
    nearly[:3] = 1
    rows = [
        row(*one, EQUAL) for one in (("a", "model", perfect), ("b", "model", nearly), ("c", "baseline", half_wrong))
    ]
    found = with_intervals(rows, 0, EQUAL)
    assert [one.tie for one in found] == [None, True, False, None]
    assert found[2].behind.mean == 0.5
    assert found[1].corrected == 0.25
    assert (found[3].label, found[3].kind, found[3].linear) == ("always answering 'a'", "constant", 0.5)
    assert (round(found[0].share.low, 3), found[0].balanced) == (0.963, None)


def test_where_it_is_not_kept_which_images_are_right_shares_are_compared():
    rows = [Row("a", "model", linear=0.9), Row("raw-pixels", "baseline", linear=0.5)]
    evidence = evidence_of(rows, 0, EQUAL, EQUAL.labels)
    assert evidence.baselines[0].test == "two shares, not paired"
    assert evidence.baselines[0].ahead
