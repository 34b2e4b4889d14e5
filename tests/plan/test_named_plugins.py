"""A plugin that a parameter of another one names: its code, files, licence, and what it would fetch or run."""

from __future__ import annotations

import pytest

from sslbench.advise.available import forbidden
from sslbench.advise.frozen import Settings
from sslbench.errors import UserError
from sslbench.execute.request import Request
from sslbench.execute.scheduler import plan_only, run
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import chosen, sent
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.plan import make_plan
from sslbench.plan.reference import parse_reference
from sslbench.plan.suite import Overrides, RawSuite

SOURCE = """
    from pathlib import Path

    from torch import nn

    from sslbench import (
        AugmentationSpec, BuildContext, EvaluatorSpec, Licence, Method, MethodSpec, Metric, Params, build_plugin,
        hookimpl, param,
    )

    class Files(Params):
        file: str = param("", "to be read")
        licence: str = param("", "of the weights")
        absent: bool = param(False, "whether it would have to be fetched")
        code: str = param("", "whose code it would run")

    class Flat(Method):
        views = ()
        encoder = nn.Flatten()
        forward = None

    class Named(Params):
        model: str = param("given", "a method", names="method")
        second: str = param("", "another one", names="method")

    class Scores:
        def __init__(self, params, context):
            build_plugin("method", params.model, "model", trust=context.trust)

        def evaluate(self, data):
            yield Metric("scores", 1.0)

    @hookimpl
    def sslbench_methods():
        build = lambda params, context: Flat()
        return [
            MethodSpec(
                name="given", summary="s", params=Files, build=build, uses=frozenset(), trains=False,
                provides=frozenset({"encoder"}),
                fingerprint=lambda params: Path(params.file).read_text() if params.file else "",
                fetches=lambda params: "its weights from https://far.away" if params.absent else "",
                runs_code=lambda params: params.code and f"the code of {params.code}",
                licence=lambda params: Licence(params.licence or None, "nobody says"),
            ),
            MethodSpec(
                name="wraps", summary="s", params=Named, build=build, uses=frozenset(), trains=False,
                provides=frozenset({"encoder"}),
            ),
        ]

    @hookimpl
    def sslbench_evaluators():
        return [EvaluatorSpec(name="scores", summary="s", params=Named, build=Scores, headline="scores")]
"""
POINTS = {"method.given": "given_by", "method.wraps": "given_by", "evaluator.scores": "given_by"}


@pytest.fixture
def registry(distribution):
    distribution("given-by", POINTS, {"given_by": SOURCE})
    return Registry()


def cells_of(registry, method="raw-pixels", evaluator="knn"):
    axes = {"method": [method], "dataset": ["shapes"], "evaluator": [evaluator]}
    return expand(resolve_suite(RawSuite("s", "s.toml", {"axes": axes, "seeds": [0]}), Overrides(), registry))


class Remembers:
    def __init__(self, cell):
        self.cell = cell

    def find(self, description):
        return [(self.cell.key, self.cell.inputs, "done")] if description == self.cell.description else []

    def data_of(self, cell):
        return None


@pytest.mark.parametrize(
    ("axis", "text", "reason"),
    [
        ("method", "given:file={}", "the weights changed"),
        ("method", 'wraps:model="given:file={}"', "the weights changed"),
        ("method", 'wraps:model="wraps:model=given:file={}"', "the weights changed"),
        ("method", 'wraps:model="given",second="given:file={}"', "the weights changed"),
        ("evaluator", 'scores:model="given:file={}"', "the files of the evaluator changed"),
    ],
)
def test_a_result_is_stale_where_a_file_changed_that_a_named_plugin_reads(registry, tmp_path, axis, text, reason):
    file = tmp_path / "weights"
    file.write_text("one")
    (cell,) = cells_of(registry, **{axis: text.format(file)})
    (again,) = cells_of(registry, **{axis: text.format(file)})
    assert (again.key, again.inputs) == (cell.key, cell.inputs)
    file.write_text("two")
    (changed,) = cells_of(registry, **{axis: text.format(file)})
    (item,) = make_plan("s", [changed], Remembers(cell)).planned
    assert (item.state, item.reason) == ("stale", reason)


def test_the_code_of_all_that_is_named_is_in_the_key(registry):
    (cell,) = cells_of(registry, method="wraps:model=wraps:model=given")
    labels = [label for label in cell.inputs["code"] if label.startswith("method")]
    assert labels == [
        "method 'wraps'",
        "method 'wraps' of method 'wraps'",
        "method 'given' of method 'wraps' of method 'wraps'",
    ]


@pytest.mark.parametrize("axis", ["method", "evaluator"])
def test_code_of_others_that_a_named_plugin_runs_needs_trust_before_anything_runs(registry, tmp_path, axis):
    name = {"method": "wraps", "evaluator": "scores"}[axis]
    text = f"{name}:model=given:code=somebody"
    axes = {"method": ["raw-pixels"], "dataset": ["shapes"], "evaluator": ["knn"], axis: [text]}
    request = Request(RawSuite("s", "s.toml", {"axes": axes, "seeds": [0]}), out=tmp_path / "out")
    words = f"^method 'given' of {axis} '{name}' would run the code of somebody; --trust allows it$"
    with pytest.raises(UserError, match=words):
        run(request, registry=registry)
    assert not (tmp_path / "out").exists()
    choice = chosen(axis, parse_reference(text), registry)
    with pytest.raises(UserError, match=words):
        sent(axis, choice.plain, registry).check_trust(False)
    choice.check_trust(True)


def test_of_two_plugins_of_one_name_none_is_overlooked(registry):
    choice = chosen("method", parse_reference('wraps:model="given:code=first",second="given:licence=mit"'), registry)
    assert choice.runs_code
    assert [str(licence) for _, licence in choice.licences()] == ["not known (nobody says)", "mit"]


def test_a_model_is_left_out_for_the_licence_of_what_it_rests_on(registry):
    def why(text):
        return forbidden(parse_reference(text), Settings(licence="commercial"), registry)

    assert why("given:licence=mit") == ""
    unnamed = "its plugin names no licence"
    assert why("wraps:model=given:licence=mit") == f"{unnamed} (--licence commercial)"
    named = "method 'given' of method 'wraps': cc-by-nc-4.0 forbids commercial use"
    assert why("wraps:model=given:licence=cc-by-nc-4.0") == f"{unnamed}; {named} (--licence commercial)"
    assert forbidden(parse_reference("wraps"), Settings(), registry) == ""


def test_a_plan_says_what_is_not_here_and_under_which_licence(registry, tmp_path):
    axes = {"method": ["wraps:model=given:absent=true"], "dataset": ["shapes"], "evaluator": ["scores"]}
    request = Request(RawSuite("s", "s.toml", {"axes": axes, "seeds": [0]}), out=tmp_path / "out")
    absent = "its weights from https://far.away is not on this machine; --download fetches it"
    licence = "licence not known (nobody says)"
    in_method, in_evaluator = "method 'given' of method 'wraps'", "method 'given' of evaluator 'scores'"
    assert plan_only(request, registry).notes[-3:] == (
        f"{in_method}: {absent}",
        f"{in_method}: {licence}",
        f"{in_evaluator}: {licence}",
    )


def test_a_named_method_that_would_have_to_be_trained_is_refused_with_the_way_out(registry):
    words = (
        "s.toml: axes.method[0]: method 'wraps': model: simclr has to be trained first: sslbench run -m simclr, then"
        " sslbench export DIR --where method=simclr -o FOLDER, and give model=pretrained:path=FOLDER"
    )
    with pytest.raises(UserError) as caught:
        cells_of(registry, method="wraps:model=simclr")
    assert caught.value.messages == (words,)


def test_a_named_plugin_is_looked_up_where_work_is_done_as_well(registry):
    plain = chosen("method", parse_reference("wraps"), registry).plain
    with pytest.raises(UserError, match="method 'wraps': model: unknown method 'gone'"):
        sent("method", type(plain)("wraps", {**plain.params, "model": "gone"}), registry)
