"""What docs/many-machines.md says of the executor."""

from __future__ import annotations

import re
from pathlib import Path

from sslbench_plugins.executors.ray.needs import RayParams

PAGE = Path(__file__).parents[4] / "docs" / "many-machines.md"
DEFAULTS = {None: "null", 0.0: "0"}


def test_the_parameters_are_documented_with_their_defaults():
    section = PAGE.read_text(encoding="utf-8").partition("\n## Ray\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.M)
    expected = []
    for name, field in RayParams.model_fields.items():
        unit = ", GB" if name == "memory" else ""
        text = str(field.description).replace("needs;", f"needs{unit};")
        expected.append((name, DEFAULTS.get(field.default, str(field.default)), text))
    assert rows == expected
