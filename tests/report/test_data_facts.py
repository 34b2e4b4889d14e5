from __future__ import annotations

import pytest

from sslbench.report.data_facts import batch_in_words, in_words, steps_in_words, warnings
from sslbench.store.record import DataFacts

PHOTOS = DataFacts(
    80,
    20,
    "all",
    classes=2,
    majority_class="healthy",
    majority_share=0.9667,
    image_size=64,
    sides=(400, 1024),
    left_out={"cannot be read": 2, "not an image (.txt)": 1},
)


def test_what_is_looked_at_is_one_sentence():
    assert in_words("photos", PHOTOS) == (
        "photos: 80 images to train on, 20 others held out to evaluate on (97% are 'healthy'), 2 classes,"
        " 64 px from 400..1024; 3 left out: 2 cannot be read, 1 not an image (.txt)"
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (DataFacts(1, 1), "x: 1 image to train on, 1 to evaluate on, no labels"),
        (DataFacts(1437, 360, "test", classes=10), "1,437 images to train on, 360 of the test split to evaluate on"),
        (DataFacts(8, 2, "train", classes=1), "8 images to train on, 2 held out of the training split to evaluate on"),
        (DataFacts(8, 2, classes=2, majority_share=0.5), "2 to evaluate on (50% are of the largest class), 2 classes"),
        (DataFacts(8, 2, image_size=64, sides=(64, 64)), "no labels, 64 px from 64"),
    ],
)
def test_what_is_not_known_is_not_said(facts, words):
    assert words in in_words("x", facts)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (5, "5 images to evaluate on can tell no two recipes apart, whatever their accuracies"),
        (20, "20 images to evaluate on can show no difference in accuracy below 30 points"),
        (119, "119 images to evaluate on can show no difference in accuracy below 5.0 points"),
    ],
)
def test_few_images_are_named_with_the_difference_that_they_can_show(images, words):
    (line,) = warnings("photos", DataFacts(80, images, classes=2))
    assert line.startswith(f"photos: {words}")


def test_enough_images_and_images_without_labels_are_no_reason_to_warn():
    assert warnings("photos", DataFacts(80, 120, classes=2)) == []
    assert warnings("photos", DataFacts(80, 2)) == []


def test_images_on_both_sides_are_named():
    (line,) = warnings("photos", DataFacts(80, 200, classes=2, duplicates=12))
    assert line == (
        "photos: 12 of 200 images to evaluate on equal images to train on: accuracies can be too high by as many"
    )
    (line,) = warnings("photos", DataFacts(80, 200, duplicates=1))
    assert "1 of 200 images to evaluate on equals an image to train on" in line


def test_the_batch_that_is_used_is_said_beside_the_one_that_was_asked_for():
    assert batch_in_words(80, 256) == "batch 80 (asked for 256: there are no more images)"
    assert batch_in_words(32, 32) == "batch 32"
    assert steps_in_words(8, 8) == "1 step an epoch, 8 in all"
    assert steps_in_words(2, 2200) == "1,100 steps an epoch, 2,200 in all"


def test_equal_images_to_train_on_and_those_of_two_classes_are_named():
    facts = DataFacts(80, 200, classes=2, repeated=5, contradictory=1)
    assert warnings("photos", facts) == [
        "photos: 5 of 80 images to train on equal earlier ones",
        "photos: 1 image with an equal one of another class",
    ]
    assert warnings("photos", DataFacts(80, 200, classes=2, repeated=0, contradictory=0)) == []
