from __future__ import annotations

import re

import pytest

from sslbench.errors import UserError
from sslbench.measure.limits import Limit, read_limits

ALLOWED = ["images_per_second", "knn_top1", "few_label_top1@2 (few-label draws=3)"]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("images_per_second:5%", Limit("images_per_second", 5.0)),
        ("knn_top1:0.5", Limit("knn_top1", 0.5)),
        (" knn_top1 : 0 % ", Limit("knn_top1", 0.0)),
        ("few_label_top1@2 (few-label draws=3):1%", Limit("few_label_top1@2 (few-label draws=3)", 1.0)),
    ],
)
def test_a_limit_is_a_quantity_and_a_percentage(text, limit):
    assert read_limits("--fail-on", [text], ALLOWED) == [limit]


def test_a_limit_reads_as_it_was_written():
    assert str(Limit("knn_top1", 0.5)) == "knn_top1:0.5%"


@pytest.mark.parametrize(
    "text", ["images_per_second", "knn_top1:", "knn_top1:x", ":5%", "knn_top1:-1%", "knn_top1:inf"]
)
def test_anything_else_is_said_in_one_line(text):
    words = f"--fail-on {text!r} is not QUANTITY:PERCENT with a percentage of 0 or more, such as images_per_second:5%"
    with pytest.raises(UserError, match=f"^{re.escape(words)}$"):
        read_limits("--fail-on", [text], ALLOWED)


def test_an_unknown_quantity_names_the_allowed_ones_and_all_mistakes_are_told():
    with pytest.raises(UserError) as caught:
        read_limits("--fail-on", ["knn_top:1%", "knn_top1:1%", "x"], ALLOWED)
    first, second = caught.value.messages
    allowed = ", ".join(ALLOWED)
    assert first == f"--fail-on 'knn_top:1%': unknown quantity 'knn_top'; did you mean 'knn_top1'? (allowed: {allowed})"
    assert second.startswith("--fail-on 'x' is not QUANTITY:PERCENT")
