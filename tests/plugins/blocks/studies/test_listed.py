from __future__ import annotations

import pytest

from sslbench_plugins.blocks.studies.listed import not_empty, separated


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ("a+b", ["a", "b"]),
        (" a + b ", ["a", "b"]),
        ("simclr:x=1,y=2+none", ["simclr:x=1,y=2", "none"]),
        ("", []),
        (0.5, [0.5]),
        (3, [3]),
        (["a", "b"], ["a", "b"]),
        (("a",), ("a",)),
    ],
)
def test_several_values_in_one(given, values):
    assert separated(given) == values


def test_an_empty_one():
    assert not_empty((1,)) == (1,)
    with pytest.raises(ValueError, match="name at least one"):
        not_empty(())
