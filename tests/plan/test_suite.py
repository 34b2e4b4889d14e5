from __future__ import annotations

import pytest

from sslbench.errors import UserError
from sslbench.plan.suite import RawSuite, builtin_suites, check_layout, read_suite


def test_every_builtin_suite_is_well_formed():
    assert "quick" in builtin_suites()
    for name in builtin_suites():
        layout, mistakes = check_layout(read_suite(name))
        assert mistakes == []
        assert layout.name == name
        assert layout.summary


def test_an_unknown_suite_gets_a_hint():
    with pytest.raises(
        UserError, match=r"unknown suite 'quik'; did you mean 'quick'\? \(built in: .*; or the path of a"
    ):
        read_suite("quik")


def test_a_missing_file_and_broken_toml_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"suite '.*none.toml' cannot be read: .*No such file"):
        read_suite(str(tmp_path / "none.toml"))
    path = tmp_path / "bad.toml"
    path.write_text("seeds = [\n")
    with pytest.raises(UserError, match=r"bad.toml: not valid TOML"):
        read_suite(str(path))


def test_all_mistakes_of_the_layout_are_told_at_once():
    data = {"seed": [0], "seeds": [], "training": {"epoch": 3, "batch_size": 1, "precision": "fp8"}}
    layout, mistakes = check_layout(RawSuite("s", "s.toml", data))
    assert layout is None
    text = "\n".join(mistakes)
    assert len(mistakes) == 5
    assert "s.toml: unknown key 'seed'; did you mean 'seeds'?" in text
    assert "unknown key 'training.epoch'; did you mean 'epochs'?" in text
    assert "training.batch_size = 1: input should be greater than or equal to 2" in text
    assert "training.precision = 'fp8': input should be 'auto', 'fp32', 'bf16' or 'fp16'" in text
    assert "seeds = []: list should have at least 1 item" in text
