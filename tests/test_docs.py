"""The documents say what is so."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from sslbench import BuildContext, simulate
from sslbench.cli.group import COMMANDS
from sslbench.contracts.executor import TrainingSettings
from sslbench.hooks.catalogue import KINDS, Catalogue
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
from sslbench.testing.conformance import problems
from sslbench.testing.fakes import evaluated_scenes
from sslbench.testing.speed import QUANTITIES
from sslbench_plugins.blocks.scenes.signed_distance import FIGURES
from sslbench_plugins.blocks.scenes.textures import TEXTURES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PLUGINS = (ROOT / "docs/plugins.md").read_text()
DATASETS = (ROOT / "docs/datasets.md").read_text()
GATES = (ROOT / "docs/gates.md").read_text()
SPEED = (ROOT / "docs/speed.md").read_text()
SUITES = (ROOT / "docs/suites.md").read_text()
SIMULATORS = (ROOT / "docs/simulators.md").read_text()
EVALUATORS = (ROOT / "docs/evaluators.md").read_text()
OBSERVERS = (ROOT / "docs/observers.md").read_text()
METHODS = (ROOT / "docs/methods.md").read_text()
PYTHON = (ROOT / "docs/python.md").read_text()


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_is_documented(kind):
    assert f"`sslbench_{kind}s`" in PLUGINS


def entry_points():
    """``kind.name`` -> module, as the page writes them."""
    return tomllib.loads(next(block for block in blocks(PLUGINS, "toml")))["project"]["entry-points"]["sslbench"]


def example(kind):
    """The whole plugin of a kind on the page."""
    return next(block for block in blocks(PLUGINS, "python") if f"def sslbench_{kind}s()" in block)


@pytest.mark.parametrize("kind", KINDS)
def test_the_plugin_of_each_kind_on_the_page_keeps_its_contract(kind, tmp_path, monkeypatch):
    (point,) = [point for point in entry_points() if point.startswith(f"{kind}.")]
    module = f"{kind}_of_the_docs"
    (tmp_path / f"{module}.py").write_text(example(kind))
    monkeypatch.syspath_prepend(str(tmp_path))
    (spec,) = getattr(importlib.import_module(module), f"sslbench_{kind}s")()
    assert f"{spec.kind}.{spec.name}" == point
    assert problems(spec) == []


PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_are_short_but_for_rows_of_tables(page):
    text = re.sub(r"^```text\n.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if len(line) > 110 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_fields_words_are_used(page):
    assert re.findall(r"(?i)judg\w*|senseless|paint\w*|kitchen|\bsight\b", page.read_text()) == []


DOCS = [page for page in PAGES if page.parent.name == "docs"]


def anchor_of(title):
    """As GitHub makes it of a heading, and the site too."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def prose_of(page):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_begins_with_its_title(page):
    assert re.match(r"# \S", page.read_text())
    assert len(re.findall(r"^# ", prose_of(page), flags=re.MULTILINE)) == 1


def test_the_site_has_every_page_and_no_other():
    nav = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    assert sorted(nav) == sorted(page.name for page in DOCS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings_that_are_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        assert other.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", prose_of(other), flags=re.MULTILINE)
            assert anchor in map(anchor_of, titles), target


def test_the_picture_of_the_readme_is_there_and_small():
    (picture,) = re.findall(r"^!\[.{20,}\]\((\S+)\)$", README, flags=re.MULTILINE)
    assert (ROOT / picture).stat().st_size < 200_000


def test_the_site_asks_no_other_server():
    text = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in text
    assert re.findall(r"https?://", text) == []


def test_the_index_of_the_log_names_every_entry_in_order():
    log = (ROOT / "docs/log.md").read_text()
    titles = re.findall(r"^## (?!Index)(.*)$", log, flags=re.MULTILINE)
    anchors = [f"#{anchor_of(title)}" for title in titles]
    rows = re.findall(r"^\| (\d{4}-\d\d-\d\d) \| \[(.*)\]\((#.*)\) \|$", log, flags=re.MULTILINE)
    assert [(f"{date}: {title}", anchor) for date, title, anchor in rows] == list(zip(titles, anchors, strict=True))


def test_every_room_is_on_the_page_about_architecture():
    rows = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(), flags=re.MULTILINE))
    assert rows == {path.parent.name for path in (ROOT / "sslbench").glob("*/__init__.py")} | {"errors"}


def test_files_named_by_the_page_about_architecture_are_there():
    text = (ROOT / "docs/architecture.md").read_text()
    for name in re.findall(r"`([a-z_]+/[a-z_]+\.py)`", text):
        assert (ROOT / "sslbench" / name).is_file(), name


def test_the_suite_of_the_documentation_is_without_mistakes():
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


@pytest.mark.parametrize("name", Catalogue.installed().names("dataset"))
def test_every_data_set_is_documented_with_its_parameters_and_defaults(name):
    assert re.search(rf"^## .*`{name}`", DATASETS, flags=re.MULTILINE)
    assert re.search(rf"^\| `{name}` \|", DATASETS, flags=re.MULTILINE)
    section = next(part for part in DATASETS.split("\n## ") if f"`{name}`" in part.partition("\n")[0])
    found = re.findall(r"^\| `(\w+)` \| *(.*?) *\|", section, flags=re.MULTILINE)
    rows = dict(reversed(found))  # the first table of a section is that of its parameters
    elsewhere = {
        ("imagenette", "size"): "128",
        ("parquet", "size"): "0",
        ("imagenette", "root"): "",
        ("images", "root"): "",
    }
    for key, field in Registry().get("dataset", name).params.model_fields.items():
        default = "required" if field.is_required() else str(field.default)
        if (name, key) in elsewhere:
            assert default == elsewhere[name, key]
            assert f"`{name}`" in section.partition(f"| `{key}` |")[2].partition("\n")[0]
        else:
            assert rows[key] == default.replace("False", "false"), key


def test_the_factors_of_shapes_are_documented_with_their_dtypes():
    spec = Registry().get("dataset", "shapes")
    split = spec.build(spec.params(train_images=2, test_images=1), BuildContext()).split("train")
    table = re.findall(r"^\| (`.*?`) \| (int64|float32) \|", DATASETS, flags=re.MULTILINE)
    rows = {name: dtype for names, dtype in table for name in re.findall(r"`(\w+)`", names)}
    assert rows == {name: str(values.dtype).removeprefix("torch.") for name, values in split.factors.items()}
    for name in [*split.maps, *FIGURES, *TEXTURES]:
        assert re.search(rf"\b{name}\b", DATASETS), name


@pytest.mark.parametrize("suite", builtin_suites())
def test_every_builtin_suite_is_documented(suite):
    assert f"`{suite}`" in SUITES


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented(kind):
    assert f"\n| {kind} |" in PLUGINS


def test_the_options_and_arguments_of_the_gates_are_documented():
    source = inspect.getsource(pytest_plugin)
    options = re.findall(r'"(--sslbench-[a-z-]+)"', source)
    assert set(options) == set(re.findall(r"--sslbench-[a-z-]+", GATES))
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
    assert '"--relative"' in (ROOT / "benchmarks/conftest.py").read_text()


def test_the_test_of_the_documentation_is_python():
    (source,) = blocks(GATES, "python")
    assert [node.name for node in ast.parse(source).body] == ["test_the_new_step_is_no_slower"]


def test_the_readme_starts_with_the_two_commands():
    install, test = blocks(README, "sh")
    for command in (install, test):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert command.count("\n") == 1
    assert install.endswith("sslbench run\n")
    assert test.endswith("pytest -n 2\n")


def test_the_commands_of_the_readme_are_there():
    used = set(re.findall(r"\.venv/bin/sslbench (\w+)", README))
    assert used <= set(COMMANDS)
    assert {"run", "plan", "results", "list", "show", "doctor"} <= used


def test_the_tree_of_the_readme_is_the_tree():
    tree = README.partition("## The tree")[2]
    for name in re.findall(r"^      (\w+)/ ", tree, flags=re.MULTILINE):
        assert (ROOT / "sslbench" / name).is_dir() or (ROOT / "plugins/sslbench_plugins" / name).is_dir(), name


def test_nothing_of_the_package_is_left_out_of_the_wheel():
    code = (
        "import sslbench.plan.suite as suites, sslbench.store.memory as memory;"
        " memory.MemoryStore(); print(*suites.builtin_suites())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    assert "quick" in done.stdout


ON_FEATURES = ("feature-map", "few-label", "invariance", "knn", "label-free", "linear-probe", "retrieval")


def test_sections_of_evaluators_are_installed_ones_in_order():
    titles = re.findall(r"^## `(.*)`$", EVALUATORS, flags=re.MULTILINE)
    assert titles == sorted(Catalogue.installed().names("evaluator"))


@pytest.mark.parametrize("name", ON_FEATURES)
def test_an_evaluator_is_documented_with_all_its_metrics_and_presets(name):
    text = next(part for part in EVALUATORS.split("\n## ") if part.partition("\n")[0] == f"`{name}`")
    told = set(re.findall(r"`([\w@%-]+)`", text))
    spec = Registry().get("evaluator", name)
    given = {"shares": [0.1, 1]} if name == "few-label" else {}
    for metric in spec.build(spec.params(**given), BuildContext()).evaluate(evaluated_scenes()):
        factor = metric.name.removeprefix("readable_").removesuffix("_top1") if name == "invariance" else ""
        general = re.sub(r"@\d+(%?)$", lambda found: "@p%" if found[1] else "@n", metric.name)
        names = {metric.name, general, general.replace("@n", "@k"), metric.name.replace(factor or "?", "FACTOR")}
        assert names & told, metric.name
    assert all(f"`{preset}`" in text or f"preset={preset}" in text for preset in spec.presets)
    assert re.search(r"^Source: ", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", Catalogue.installed().names("observer"))
def test_every_observer_is_documented_with_its_parameters_defaults_and_library(name):
    spec = Registry().get("observer", name)
    rows = dict(re.findall(r"^\| `(\w+)` \| *(.*?) *\|", section(OBSERVERS, name), flags=re.MULTILINE))
    assert rows == {key: str(field.default) for key, field in spec.params.model_fields.items()}
    (needs,) = re.findall(rf"^\| `{name}` \| .* \| (.*) \|$", OBSERVERS, flags=re.MULTILINE)
    assert needs == (f"`{spec.install}`" if spec.library else "nothing")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert not spec.library or (spec.install == f'pip install "sslbench[{name}]"' and name in extras)


def section(text, name):
    return next(part for part in text.split("\n## ") if f"`{name}`" in part.partition("\n")[0])


@pytest.mark.parametrize("name", Catalogue.installed().names("simulator"))
def test_every_simulator_is_documented_with_its_parameters_and_defaults(name):
    rows = dict(re.findall(r"^\| `(\w+)` \| *(.*?) *\|", section(SIMULATORS, name), flags=re.MULTILINE))
    fields = {k: v for k, v in Registry().get("simulator", name).params.model_fields.items() if k != "claim_seeds"}
    assert set(rows) == set(fields)
    for key, field in fields.items():
        joint = "x" if key == "grid" else "+"
        several = isinstance(field.default, tuple)
        assert rows[key] == (joint.join(map(str, field.default)) if several else str(field.default)), key


@pytest.mark.parametrize("name", Catalogue.installed().names("simulator"))
def test_the_verdicts_of_the_documentation_are_those_of_a_run(name):
    few = {"draws": 20} if "draws" in Registry().get("simulator", name).params.model_fields else {}
    (found,) = simulate([name], given=few)
    rows = re.findall(r"^\| (holds|fails|undecided) \| (.*?) \|", section(SIMULATORS, name), flags=re.MULTILINE)
    assert rows == [(claim.verdict, claim.statement) for claim in found.result.claims]


def test_the_python_about_simulators_runs():
    (source,) = blocks(SIMULATORS, "python")
    names: dict[str, object] = {}
    exec(source, names)
    assert len(names["frame"]) >= 12
    assert set(names["verdicts"].values()) <= {"holds", "fails", "undecided"}


def test_the_python_about_python_runs(tmp_path, monkeypatch):
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


def test_every_setting_of_a_speed_suite_is_documented_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", SPEED, flags=re.MULTILINE))
    assert set(rows) == set(SpeedSettings.model_fields)
    for name, field in SpeedSettings.model_fields.items():
        assert rows[name] == ("none" if field.default is None else json.dumps(field.default)), name


def test_the_speed_suite_of_the_documentation_is_without_mistakes(tmp_path):
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


def test_the_commands_about_speed_have_options_that_exist():
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
        counted.append(step_flops_per_image(method, 2, 0.75) / 1e9)
    assert [float(row[1]), float(row[2])] == [pytest.approx(value, abs=0.06) for value in counted]
    assert counted[0] / counted[1] == pytest.approx(1.95, abs=0.02)


def test_the_python_about_speed_runs(capsys):
    (source,) = blocks(SPEED, "python")
    names: dict[str, object] = {}
    exec(source, names)
    assert names["timing"].images_per_second > 0
    assert names["found"].low <= names["found"].ratio <= names["found"].high
    assert capsys.readouterr().out


@pytest.mark.parametrize("name", Catalogue.installed().names("method"))
def test_every_method_has_a_paragraph_with_its_presets_and_parameters_that_exist(name):
    section = next(part for part in METHODS.split("\n## ") if f"`{name}`" in part.partition("\n")[0])
    spec = Registry().get("method", name)
    assert [preset for preset in spec.presets if f"`{preset}`" not in section] == []
    if not spec.trains:
        return
    to_take_apart = re.search(r"To take\s+apart:\s(.*?)\.\s", section, flags=re.DOTALL)
    named = re.findall(r"`([a-z_0-9]+)[=`]", to_take_apart.group(1) if to_take_apart else "")
    assert [key for key in named if key not in spec.params.model_fields] == []
    assert named or name == "supervised"


def test_what_the_methods_page_would_run_can_be_run():
    references = re.findall(r"-m ([a-z0-9-]+:[a-z_]+=\S+?)(?=[`\s]|$)", METHODS)
    references = [reference for reference in references if "PRESET" not in reference]
    assert len(references) >= 8
    data = {"axes": {"dataset": ["digits"], "evaluator": ["knn"], "backbone": ["convnet-small"], "masking": ["random"]}}
    data |= {"training": {"preset": "quick"}}
    data["axes"]["augmentation"] = ["byol:crop_scale_min=0.2", "dino:preset=resnet"]
    resolve_suite(RawSuite("docs", "docs", data), Overrides({"method": references}), Registry())
