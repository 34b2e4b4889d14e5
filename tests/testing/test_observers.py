"""What conformance says of observers that do not keep their contract."""

from __future__ import annotations

import pytest

from sslbench import Observer, ObserverSpec
from sslbench.testing.conformance import problems


def spec(build):
    return ObserverSpec(name="mine", summary="Mine.", build=lambda params, context: build())


def test_one_that_keeps_nothing_is_an_observer():
    assert problems(spec(Observer)) == []


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, ["None after 0 epochs", "None after 2 epochs"]),
        (True, ["True after 0 epochs", "True after 2 epochs"]),
        (1, ["1 after 0 epochs", "1 after 2 epochs"]),
        (-1, ["-1 after 0 epochs", "-1 after 2 epochs"]),
    ],
)
def test_the_last_epoch_must_be_that(returned, words):
    class Wrong(Observer):
        def pretraining_started(self, pretraining):
            return returned

    lines = [f"pretraining_started returned {text}; it returns the last epoch it has" for text in words]
    assert problems(spec(Wrong))[:2] == [f"observer 'mine': {line}" for line in lines]


def test_one_that_fails_or_is_none_is_named():
    class Fails(Observer):
        def record_written(self, key, record):
            raise KeyError("nothing")

    assert problems(spec(Fails)) == ["observer 'mine': raised KeyError: 'nothing'"]
    assert problems(spec(object)) == ["observer 'mine': build must return an Observer"]
