"""Classes whose names are most likely one."""

from __future__ import annotations

import pytest

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.class_names import check_different


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        (("Cat", "cat", "dog"), "'Cat' and 'cat' differ by case alone"),
        (("STRASSE", "straße"), "differ by case alone"),
        (("cat", "cat "), "'cat' and 'cat ' differ by spaces alone"),
        (("a  b", "a b"), "differ by spaces alone"),
        (("Cat", "cat "), "'Cat' and 'cat ' differ by case and spaces alone"),
        (("caf\u00e9", "cafe\u0301"), r"'cafe\u0301' and 'caf\xe9' differ by the form of a Unicode letter alone"),
        (("1", "1.0"), "'1' and '1.0' differ by the way the number is written alone"),
        (("01", "1"), "differ by the way the number is written alone"),
        (("00", "0"), "differ by the way the number is written alone"),
    ],
)
def test_names_that_are_most_likely_one_class_are_one_line(names, difference):
    with pytest.raises(UserError) as caught:
        check_different(names, "here")
    (line,) = caught.value.messages
    assert line.startswith("here: the classes ")
    assert difference in line
    assert line.endswith("; write one class in one way")


@pytest.mark.parametrize(
    "names",
    [
        ("a", "A", "b"),  # letters
        ("1", "10", "1.5", "100"),
        ("0", "-0.5", ".0"),
        ("n01440764", "n1440764"),
        ("None", "nan", "-1"),
        ("a_b", "a b", "ab"),
    ],
)
def test_other_names_stay_as_they_are(names):
    check_different(names, "here")
