"""The pages about suites, speed, gates and Python say what is so, and what they would run can be run."""

from __future__ import annotations

import ast
import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image

from sslbench import BuildContext
from sslbench.contracts.executor import TrainingSettings
from sslbench.hooks.registry import Registry
from sslbench.measure.flops import step_flops_per_image
from sslbench.plan.builtin import builtin_suites
from sslbench.plan.expand import resolve_suite
from sslbench.plan.suite import Overrides, RawSuite
from sslbench.report.compare.comparison import SPEEDS
from sslbench.speed.plan import plan_speed
from sslbench.speed.suite import SpeedSettings, read_speed_suite
from sslbench.speed.table import LEGEND as SPEED_COLUMNS
from sslbench.testing import pytest_plugin
from sslbench.testing.speed import QUANTITIES
from sslbench.train.masks import draw_masks

ROOT = Path(__file__).parents[2]
SUITES = (ROOT / "docs/suites.md").read_text()
SPEED = (ROOT / "docs/speed.md").read_text()
GATES = (ROOT / "docs/gates.md").read_text()
PYTHON = (ROOT / "docs/python.md").read_text()


def test_the_suite_of_the_documentation_is_without_mistakes(blocks):
    data = tomllib.loads(next(iter(blocks(SUITES, "toml"))))
    suite = resolve_suite(RawSuite("docs", "docs", data), Overrides(), Registry())
    assert len(suite.seeds) == 3


def test_every_training_setting_is_documented_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", SUITES, flags=re.MULTILINE))
    assert set(rows) == set(TrainingSettings.model_fields)
    words = {
        "image_size": "the data set's",
        "train_images": "all",
        "time_limit": "none",
        "curve": "`knn`, `label-free`",
    }
    for name, field in TrainingSettings.model_fields.items():
        shown = words.get(name, f"`{field.default}`".lower() if isinstance(field.default, (str, bool)) else None)
        expected = shown or str(int(field.default) if field.default == int(field.default) else field.default)
        assert rows[name] == expected, name


@pytest.mark.parametrize("suite", builtin_suites())
def test_every_builtin_suite_is_documented(suite):
    assert f"`{suite}`" in SUITES


def test_the_python_about_python_runs(blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 8), "teal").save("photo.png")
    names: dict[str, object] = {}
    for source in blocks(PYTHON, "python"):
        exec(source, names)
    assert set(names["table"]["method"]) == {"simclr", "raw-pixels"}
    assert set(names["pairs"]["verdict"]) <= {"tie", "worse"}
    assert names["curves"]["loss"].notna().all()
    assert names["same"].allclose(names["features"][:1], atol=1e-5)
    assert len(names["train"].features) == len(names["train"].labels) == 200
    assert names["path"].is_file()


def test_the_options_and_arguments_of_the_gates_are_documented():
    source = inspect.getsource(pytest_plugin)
    options = re.findall(r'"(--sslbench-[a-z-]+)"', source)
    assert set(options) - {"--sslbench-check"} == set(re.findall(r"--sslbench-[a-z-]+", GATES))
    assert "--sslbench-check" in (ROOT / "docs/check.md").read_text()
    rows = "".join(re.findall(r"^\| `.*$", GATES, flags=re.MULTILINE))
    measure = source.partition("def measure(")[2].partition(") -> Speed")[0]
    arguments = re.findall(r"^ +(\w+): ", measure, flags=re.MULTILINE)
    assert len(arguments) == 9
    for name in [*arguments, *QUANTITIES]:
        assert f"`{name}`" in rows, name
    for quantity in SPEEDS:
        assert f"`{quantity}`" in GATES, quantity
    for option in re.findall(r"pytest benchmarks (?:--[\w-]+(?:=\S+)? ?)+", GATES):
        assert "--relative" in option
    options = re.findall(r'addoption\(\s*"(--[\w-]+)"', (ROOT / "benchmarks/conftest.py").read_text())
    assert set(options) == {"--relative", "--gate-tries", "--quick", "--ratios"}
    assert all(f"`{option}" in GATES for option in options)


def test_the_test_of_the_documentation_is_python(blocks):
    (source,) = blocks(GATES, "python")
    assert [node.name for node in ast.parse(source).body] == ["test_the_new_step_is_no_slower"]


def test_every_setting_of_a_speed_suite_is_documented_with_its_default():
    table = SPEED[SPEED.index("| key of `[speed]` |") :].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, flags=re.MULTILINE))
    assert set(rows) == set(SpeedSettings.model_fields)
    for name, field in SpeedSettings.model_fields.items():
        assert rows[name] == ("none" if field.default is None else json.dumps(field.default)), name


def test_the_speed_suite_of_the_documentation_is_without_mistakes(blocks, tmp_path):
    (text,) = blocks(SPEED, "toml")
    (tmp_path / "mine.toml").write_text(text)
    raw, layout = read_speed_suite(str(tmp_path / "mine.toml"), {"device": "cpu"})
    plan = plan_speed(raw, layout, {}, Registry())
    assert len(plan.rows) == 2 * 2 * 2
    assert len(plan.pairs) == 4


@pytest.mark.parametrize("suite", builtin_suites("sslbench.speed"))
def test_every_builtin_speed_suite_is_documented(suite):
    assert f"## The suite `{suite}`" in SPEED


def test_every_column_of_a_speed_table_is_documented():
    columns = [
        name
        for row in re.findall(r"^\| ([\w %/()-]+(?:, [\w %]+)?) \|", SPEED, flags=re.MULTILINE)
        for name in row.split(", ")
    ]
    assert {*SPEED_COLUMNS, "times as fast", "noise %", "FLOP bound", "of bound %", "published"} <= set(columns)


def test_the_commands_about_speed_have_options_that_exist(blocks):
    from sslbench.cli.speed import command

    known = {option for parameter in command.params for option in parameter.opts}
    commands = [block.replace("\\\n", "") for block in blocks(SPEED, "bash")]
    lines = [line.partition("#")[0] for block in commands for line in block.splitlines()]
    for line in lines:
        assert line.startswith("sslbench speed")
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", line)) <= known, line


def test_the_flops_of_the_documentation_are_counted():
    row = re.search(r"^\| ViT-Ti/16 \| ([\d.]+), ([\d.]+) \|.*?\| ([\d.]+) \|", SPEED, flags=re.MULTILINE)
    mae, vit = Registry().get("method", "mae"), Registry().get("backbone", "vit")
    counted = []
    for tokens in (True, False):
        backbone = vit.build(vit.params(size="tiny"), BuildContext(image_size=224))
        given = mae.params(decoder_depth=1, mask_tokens_in_encoder=tokens)
        method = mae.build(given, BuildContext(backbone=backbone, image_size=224, mask_ratio=0.75))
        counted.append(step_flops_per_image(method, 2, draw_masks(method, None, 0.75, 2, torch.Generator())) / 1e9)
    assert [float(row[1]), float(row[2])] == [pytest.approx(value, abs=0.06) for value in counted]
    assert counted[0] / counted[1] == pytest.approx(1.95, abs=0.02)


def test_the_python_about_speed_runs(blocks, capsys):
    (source,) = blocks(SPEED, "python")
    names: dict[str, object] = {}
    exec(source, names)
    assert names["timing"].images_per_second > 0
    assert names["found"].low <= names["found"].ratio <= names["found"].high
    assert capsys.readouterr().out
