"""The pages about plugins say what is so: every kind, and every one that is built in."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from sslbench import BuildContext, simulate
from sslbench.hooks.catalogue import KINDS, Catalogue
from sslbench.hooks.registry import Registry
from sslbench.plan.expand import resolve_suite
from sslbench.plan.suite import Overrides, RawSuite
from sslbench.testing.conformance import problems
from sslbench.testing.fakes import evaluated_scenes
from sslbench_plugins.blocks.scenes.signed_distance import FIGURES
from sslbench_plugins.blocks.scenes.textures import TEXTURES

ROOT = Path(__file__).parents[2]
PLUGINS = (ROOT / "docs/plugins.md").read_text()
DATASETS = (ROOT / "docs/datasets.md").read_text()
EVALUATORS = (ROOT / "docs/evaluators.md").read_text()
OBSERVERS = (ROOT / "docs/observers.md").read_text()
SIMULATORS = (ROOT / "docs/simulators.md").read_text()
METHODS = (ROOT / "docs/methods.md").read_text()
ON_FEATURES = ("feature-map", "few-label", "invariance", "knn", "label-free", "linear-probe", "retrieval")


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_is_documented(kind):
    assert f"`sslbench_{kind}s`" in PLUGINS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented(kind):
    assert f"\n| {kind} |" in PLUGINS


@pytest.mark.parametrize("kind", KINDS)
def test_the_plugin_of_each_kind_on_the_page_keeps_its_contract(kind, blocks, tmp_path, monkeypatch):
    points = tomllib.loads(next(iter(blocks(PLUGINS, "toml"))))["project"]["entry-points"]["sslbench"]
    (point,) = [point for point in points if point.startswith(f"{kind}.")]
    module = f"{kind}_of_the_docs"
    example = next(block for block in blocks(PLUGINS, "python") if f"def sslbench_{kind}s()" in block)
    (tmp_path / f"{module}.py").write_text(example)
    monkeypatch.syspath_prepend(str(tmp_path))
    (spec,) = getattr(importlib.import_module(module), f"sslbench_{kind}s")()
    assert f"{spec.kind}.{spec.name}" == point
    assert problems(spec) == []


def section(text, name):
    return next(part for part in text.split("\n## ") if f"`{name}`" in part.partition("\n")[0])


@pytest.mark.parametrize("name", Catalogue.installed().names("dataset"))
def test_every_data_set_is_documented_with_its_parameters_and_defaults(name):
    assert re.search(rf"^## .*`{name}`", DATASETS, flags=re.MULTILINE)
    assert re.search(rf"^\| `{name}` \|", DATASETS, flags=re.MULTILINE)
    text = section(DATASETS, name)
    found = re.findall(r"^\| `(\w+)` \| *(.*?) *\|", text, flags=re.MULTILINE)
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
            assert f"`{name}`" in text.partition(f"| `{key}` |")[2].partition("\n")[0]
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


def test_the_python_about_simulators_runs(blocks):
    (source,) = blocks(SIMULATORS, "python")
    names: dict[str, object] = {}
    exec(source, names)
    assert len(names["frame"]) >= 12
    assert set(names["verdicts"].values()) <= {"holds", "fails", "undecided"}


@pytest.mark.parametrize("name", Catalogue.installed().names("method"))
def test_every_method_has_a_paragraph_with_its_presets_and_parameters_that_exist(name):
    text = section(METHODS, name)
    spec = Registry().get("method", name)
    assert [preset for preset in spec.presets if f"`{preset}`" not in text] == []
    if not spec.trains:
        return
    to_take_apart = re.search(r"To take\s+apart:\s(.*?)\.\s", text, flags=re.DOTALL)
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
