from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import PathDistribution

import pytest

from sslbench.errors import PluginError, UserError, did_you_mean
from sslbench.hooks.catalogue import Catalogue, check_kind, first_doc_line, module_path
from sslbench.hooks.registry import Registry


def test_builtins_are_listed_with_summaries_and_without_importing_anything(distribution):
    distribution(
        "loud",
        {"method.loud": "loud_plugin"},
        {"loud_plugin": '"""A loud one.\n\nMore."""\nraise SystemExit("imported")\n'},
    )
    catalogue = Catalogue.installed()
    assert {"simclr", "mae", "loud"} <= set(catalogue.names("method"))
    (entry,) = catalogue.owners("method", "loud")
    assert (entry.summary, entry.distribution, entry.version) == ("A loud one.", "loud", "1.0")


def test_a_summary_inside_a_package_is_read_without_importing_the_package(distribution):
    distribution(
        "deep",
        {"method.deep": "deep_pkg.inner.mod"},
        {"deep_pkg.__init__": "raise RuntimeError", "deep_pkg.inner.mod": "# comment\n'''Deep.'''\n"},
    )
    assert Catalogue.installed().owners("method", "deep")[0].summary == "Deep."


def test_the_metadata_of_a_distribution_is_read_no_more_often_for_many_entry_points(distribution, monkeypatch):
    for name, many in (("single", 1), ("dozen", 12)):
        distribution(name, {f"masking.{name}{n}": f"m_{name}" for n in range(many)}, {f"m_{name}": ""})
    read_text, reads = PathDistribution.read_text, Counter()

    def counted(self, file):
        reads.update([(self._path.name, file)])
        return read_text(self, file)

    monkeypatch.setattr(PathDistribution, "read_text", counted)
    assert len([e for e in Catalogue.installed().entries if e.distribution == "dozen"]) == 12
    assert reads["dozen-1.0.dist-info", "METADATA"] == reads["single-1.0.dist-info", "METADATA"] > 0


@pytest.mark.parametrize("source", ["", "x = 1\n", "def f(:\n", "b'bytes'\n"])
def test_a_module_without_docstring_has_an_empty_summary(tmp_path, source):
    path = tmp_path / "m.py"
    path.write_text(source)
    assert first_doc_line(path) == ""


def test_a_module_that_is_not_there_has_no_path():
    assert module_path("no_such_top.level") is None
    assert module_path("sslbench.no_such") is None


def test_two_owners_of_one_name_are_an_error_that_names_both(distribution):
    distribution("one", {"masking.mine": "m_one"}, {"m_one": ""})
    distribution("two", {"masking.mine": "m_two"}, {"m_two": ""})
    catalogue = Catalogue.installed()
    assert set(catalogue.collisions()) == {"masking.mine"}
    words = r"masking\.mine: brought by both '(one|two)' and '(one|two)'"
    assert re.search(words, catalogue.collisions()["masking.mine"])
    with pytest.raises(PluginError, match=words):
        Registry(catalogue).entry_of("masking", "mine")


def test_a_name_used_twice_by_one_distribution_is_an_error(distribution):
    folder = distribution("twice", {"masking.mine": "m_one"}, {"m_one": ""})
    points = next(folder.glob("*.dist-info")) / "entry_points.txt"
    points.write_text("[sslbench]\nmasking.mine = m_one\nmasking.mine = m_two\n")
    with pytest.raises(PluginError, match="distribution 'twice' brings it twice"):
        Registry().entry_of("masking", "mine")


@pytest.mark.parametrize(
    ("limit", "kept"),
    [("sslbench", True), ("method.*", True), ("method.simclr, other", True), ("other", False), ("", False)],
)
def test_sslbench_plugins_limits_what_is_there(monkeypatch, limit, kept):
    monkeypatch.setenv("SSLBENCH_PLUGINS", limit)
    assert ("simclr" in Catalogue.installed().names("method")) is kept


def test_an_entry_point_without_a_kind_is_a_bundle(distribution):
    distribution("sack", {"sack": "sack_plugin", "nokind.name": "sack_plugin"}, {"sack_plugin": ""})
    assert {entry.name for entry in Catalogue.installed().bundles} == {"sack", "nokind.name"}


def test_kinds_are_checked_with_a_hint():
    assert check_kind("methods") == "method"
    with pytest.raises(UserError, match=r"unknown kind 'metod'; did you mean 'method'\? \(kinds: augmentation, method"):
        check_kind("metod")


@pytest.mark.parametrize(("name", "hint"), [("EPOCHS", "epochs"), ("SimCLR", "simclr"), ("simclrr", "simclr")])
def test_the_case_of_letters_hides_no_suggestion(name, hint):
    assert did_you_mean(name, ["epochs", "simclr", "simsiam"]) == f"; did you mean {hint!r}?"


def test_what_is_like_nothing_has_no_suggestion():
    assert did_you_mean("x" * 9, ["epochs", "simclr"]) == ""
