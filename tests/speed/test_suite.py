from __future__ import annotations

import pytest

from sslbench.errors import UserError
from sslbench.plan.suite import builtin_suites
from sslbench.speed.suite import COMPILING, SpeedSettings, read_speed_suite


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_speed_suites_and_suites_are_apart():
    assert "mae-speedup" in builtin_suites("sslbench.speed")
    assert "mae-speedup" not in builtin_suites()
    with pytest.raises(
        UserError, match=r"unknown suite 'mae-speedupp'; did you mean 'mae-speedup'\? \(built in: mae-speedup"
    ):
        read_speed_suite("mae-speedupp", {})


@pytest.mark.parametrize("name", builtin_suites("sslbench.speed"))
def test_the_built_in_ones_are_without_mistakes(name):
    _, layout = read_speed_suite(name, {})
    assert layout.name == name
    assert layout.summary


def test_given_settings_replace_the_suites_and_those_of_its_parts(tmp_path):
    path = written(tmp_path, "[speed]\nbatch_sizes = [8]\nsteps = 20\n[[parts]]\nbatch_sizes = [4]\n")
    _, layout = read_speed_suite(path, {"batch_sizes": [64], "steps": 12})
    assert (layout.speed.batch_sizes, layout.speed.steps, layout.parts[0].batch_sizes) == ([64], 12, None)
    assert read_speed_suite(path, {})[1].parts[0].batch_sizes == [4]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[speed]\nbatch_size = 4\n", r"unknown key 'speed\.batch_size'; did you mean 'batch_sizes'\?"),
        ("[sped]\nx = 4\n", r"unknown key 'sped'; did you mean 'speed'\?"),
        ("[[parts]]\ndevise = 'cpu'\n", r"unknown key 'parts\.0\.devise'; did you mean 'device'\?"),
        ("[[baselines]]\nname = 'a'\n", r"baselines\.0\.change is required"),
        (
            "[speed]\ncompile = ['fast']\n",
            r"speed\.compile\.0 = 'fast': input should be 'eager', 'compile', 'cuda-graphs' or 'compile\+cuda-graphs'",
        ),
        ("[speed]\nprecisions = []\n", r"speed\.precisions = \[\]: list should have at least 1 item"),
        ("[speed]\nseconds = 0\n", r"speed\.seconds = 0: input should be greater than 0"),
    ],
)
def test_a_mistake_names_the_file_the_key_and_what_is_allowed(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(UserError, match=rf"{path}: {words}"):
        read_speed_suite(path, {})


def test_each_way_of_compiling_has_a_name():
    allowed = SpeedSettings.model_fields["compile"].annotation.__args__[0].__args__
    assert set(COMPILING) == set(allowed)
