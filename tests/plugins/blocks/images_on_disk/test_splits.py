from __future__ import annotations

import pytest

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.splits import resembled, role_of, roles_of, split_names


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ("train Train TRAINING training_set TrainSet train-data trainval train2017 01_train train_images trn", "train"),
        ("test Testing test_set testset TEST-images tst hold-out test2015 02-test images_test", "test"),
        ("val valid Validation validation_set dev devset eval evaluation val2017 dev-images", "validation"),
        ("cat detrain latest contest trainer trains2 value devil evaluator station 2017 image tr te va", None),
    ],
)
def test_words_for_splits_whatever_their_case_and_punctuation(words, role):
    assert {word: role_of(word) for word in words.split()} == dict.fromkeys(words.split(), role)


def test_two_letters_are_splits_where_nothing_else_stands_beside_them():
    assert roles_of(["tr", "te"]) == {"tr": "train", "te": "test"}
    assert roles_of(["tr", "te", "en"]) == {}  # languages


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("seg_train", "train"),
        ("testA", "test"),
        ("my-dev", "validation"),
        ("trian", "train"),
        ("tset", "test"),
        ("traning", "train"),
        ("vaildation", "validation"),
        ("dog", None),
        ("trousers", None),
        ("text", None),
    ],
)
def test_words_that_look_like_splits(word, role):
    assert role_of(word) is None
    assert resembled(word) == role


def test_the_first_choice_to_evaluate_on_is_test():
    names = split_names("here", ["Training", "dev", "Testing", "notes"])
    assert (names.roles["train"], names.tests, names.others) == ("Training", ["Testing", "dev"], ["notes"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train", "Training", "test"], r"^here: train and Training both mean the split train; keep one$"),
        (
            ["seg_train", "seg_test", "seg_pred"],
            r"^here: 'seg_train', 'seg_test' look like splits and are none that is",
        ),
        (
            ["trian", "test"],
            r"^here: 'trian' looks like a split and is none that is known; rename to train \(training,",
        ),
        (["dogs-train", "dogs-val"], r"rename to train .*, test .*, val \(valid, validation, dev, eval\)$"),
    ],
)
def test_words_that_cannot_be_used_are_one_line(names, words):
    with pytest.raises(UserError, match=words):
        split_names("here", names)


@pytest.mark.parametrize("names", [["train_station", "cafe"], ["plane", "train"], ["cat", "trail", "toast"]])
def test_classes_may_have_such_words_in_them(names):
    assert split_names("here", names).tests == []
