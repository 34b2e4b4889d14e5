"""What docs/many-machines.md says of the executor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sslbench_plugins.executors.slurm.params import SlurmParams

PAGE = Path(__file__).parents[4] / "docs" / "many-machines.md"


def rows():
    section = PAGE.read_text().partition("\n## SLURM\n")[2].partition("\n## ")[0]
    return {
        name: (default, text) for name, default, text in re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*) \|$", section, re.M)
    }


@pytest.mark.parametrize("name", SlurmParams.model_fields)
def test_each_parameter_is_documented_with_its_default(name):
    field = SlurmParams.model_fields[name]
    default, text = rows()[name]
    shown = "" if field.default in ("", ()) else str(field.default).lower().removesuffix(".0")
    assert default.strip() == shown
    without_unit = re.sub(r", (minutes|GB)(?=;)", "", text)
    assert without_unit == field.description


def test_nothing_else_is_documented():
    assert list(rows()) == list(SlurmParams.model_fields)
