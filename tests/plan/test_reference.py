from __future__ import annotations

import pytest

from sslbench.errors import UserError
from sslbench.plan.reference import parse_reference, read_reference


@pytest.mark.parametrize(
    ("text", "name", "given"),
    [
        ("knn", "knn", {}),
        ("simclr:temperature=0.2,optimizer=adamw", "simclr", {"temperature": "0.2", "optimizer": "adamw"}),
        ("few-label:labels=[2,13],draws=5", "few-label", {"labels": "[2,13]", "draws": "5"}),
        ("imagefolder:root=/data/a,b=c", "imagefolder", {"root": "/data/a", "b": "c"}),
        ("imagefolder:root=/data/a,b", "imagefolder", {"root": "/data/a,b"}),
        ("imagefolder:root=C:/x", "imagefolder", {"root": "C:/x"}),
        ("mae:norm_pix=false", "mae", {"norm_pix": "false"}),
        ('x:s="1"', "x", {"s": '"1"'}),
        ('x:s="a,b=c",t=1', "x", {"s": '"a,b=c"', "t": "1"}),
        ("x:s=NaN", "x", {"s": "NaN"}),
        ("x:s=", "x", {"s": ""}),
    ],
)
def test_names_and_values(text, name, given):
    reference = parse_reference(text)
    assert (reference.name, reference.given) == (name, given)


@pytest.mark.parametrize("text", ["", ":a=1", "  "])
def test_an_empty_name_is_an_error(text):
    with pytest.raises(UserError, match="names no plugin; expected NAME or NAME:key=value"):
        parse_reference(text)


def test_a_parameter_without_value_is_an_error():
    with pytest.raises(UserError, match="'temperature' is not key=value"):
        parse_reference("simclr:temperature", "--method")


def test_a_table_names_the_plugin_and_its_parameters():
    reference = read_reference({"name": "simclr", "temperature": 0.5}, "here")
    assert (reference.name, reference.given, reference.where) == ("simclr", {"temperature": 0.5}, "here")


@pytest.mark.parametrize("item", [3, {"temperature": 1}, ["knn"]])
def test_anything_else_is_an_error_that_shows_both_ways(item):
    with pytest.raises(UserError, match=r'axes.method\[0\] = .*expected "NAME:key=value" or \{ name = "NAME"'):
        read_reference(item, "axes.method[0]")
