"""What is written is taken by its declared type or refused in words; all mistakes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslbench.contracts.names import name_mistake
from sslbench.errors import UserError, quoted
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.reference import parse_reference
from sslbench.plan.seeds import read_seeds, seeds_of
from sslbench.plan.suite import Overrides, RawSuite, read_suite
from sslbench.speed.run import SpeedRequest, prepare

REGISTRY = Registry()
AXES = {"method": ["raw-pixels"], "dataset": ["digits"], "evaluator": ["knn"]}


def mistakes_of(data, overrides=None, name="s"):
    with pytest.raises(UserError) as caught:
        resolve_suite(RawSuite(name, "s.toml", {"axes": AXES, **data}), overrides or Overrides(), REGISTRY)
    return caught.value.messages


def resolved(data=None, overrides=None):
    return resolve_suite(RawSuite("s", "s.toml", {"axes": AXES, **(data or {})}), overrides or Overrides(), REGISTRY)


@pytest.mark.parametrize(
    ("written", "seeds"),
    [
        ([0], (0,)),
        ([3, "0-2"], (3, 0, 1, 2)),
        (["0-4"], (0, 1, 2, 3, 4)),
        ("0-4", (0, 1, 2, 3, 4)),
        ("7, 0-1", (7, 0, 1)),
        ("5-5", (5,)),
        ([2**63 - 1], (2**63 - 1,)),
    ],
)
def test_seeds_are_whole_numbers_and_ranges(written, seeds):
    assert seeds_of(written) == resolved({"seeds": written}).seeds == seeds
    if isinstance(written, str):
        assert read_seeds(written) == seeds


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ([True], "True is none: seeds are 0 or larger"),
        (["01"], "'01' is none: seeds are 0 or larger"),
        (["3"], "'3' is none"),
        ([1.0], "1.0 is none"),
        ([-1], "-1 is none"),
        (["-4-0"], "'-4-0' is none"),
        (["4-0"], "'4-0' is no range: it ends before it begins"),
        (["0-20000"], "these are too many; seeds are 0 or larger and below 2**63, at most 10,000 of them"),
        (["0-9223372036854775807"], "these are too many"),
        ([0, 1, "1-2"], "seed 1 is given twice"),
        ([], "list should have at least 1 item"),
        (5, "expected a list"),
        ({"a": 1}, "expected a list"),
    ],
)
def test_anything_else_is_no_seed(written, words):
    (line,) = mistakes_of({"seeds": written})
    assert line.startswith(f"s.toml: seeds = {written!r}: ")
    assert words in line


@pytest.mark.parametrize("text", ["1_0", "01", "", "a", "1,,2", "-1", "4-0", "1.0", "1e3", "0,0", "\u0663", "9" * 5000])
def test_the_seeds_of_the_command_line_are_read_as_strictly(text):
    with pytest.raises(UserError) as caught:
        read_seeds(text)
    assert caught.value.messages[0].startswith("--seeds ")
    assert len(caught.value.messages[0]) < 400


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("epochs", True, "training.epochs = True: input should be a valid integer"),
        ("epochs", "3", "training.epochs = '3': input should be a valid integer"),
        ("epochs", 3.0, "training.epochs = 3.0: input should be a valid integer"),
        ("compile", 1, "training.compile = 1: input should be a valid boolean"),
        ("compile", "yes", "training.compile = 'yes': input should be a valid boolean"),
        ("preset", 3, "training.preset = 3: input should be a valid string"),
        ("time_limit", "60", "training.time_limit = '60': input should be a valid number"),
        ("epochs", 2**80, "training.epochs = 1208925819614629174706176: an integer may have 64 bits"),
    ],
)
def test_a_setting_has_its_type(setting, value, words):
    assert mistakes_of({"training": {setting: value}}) == (f"s.toml: {words}",)


def test_an_integer_may_stand_for_a_float():
    assert resolved({"training": {"time_limit": 60}}).training.time_limit == 60.0


@pytest.mark.parametrize(
    ("kind", "text", "name", "value"),
    [
        ("method", "simclr:temperature=1", "temperature", 1.0),
        ("method", "simclr:temperature=.5", "temperature", 0.5),
        ("method", "simclr:temperature=1e-1", "temperature", 0.1),
        ("method", "mae:norm_pix=False", "norm_pix", False),
        ("method", "dino:weight_decay_end=null", "weight_decay_end", None),
        ("dataset", "imagefolder:root=2024", "root", str(Path("2024").absolute())),
        ("dataset", "imagefolder:root=true", "root", str(Path("true").absolute())),
        ("dataset", 'imagefolder:root="a,b=c",size=8', "root", str(Path("a,b=c").absolute())),
        ("evaluator", "few-label:labels=2+13", "labels", (2, 13)),
        ("evaluator", "few-label:labels=[2,13]", "labels", (2, 13)),
        ("evaluator", "few-label:labels=5", "labels", (5,)),
    ],
)
def test_text_of_the_command_line_is_read_by_the_type_of_its_parameter(kind, text, name, value):
    reference = parse_reference(text)
    spec = REGISTRY.get(kind, reference.name)
    params, mistakes = resolve(spec.label, spec.params, reference.given)
    assert mistakes == []
    assert getattr(params, name) == value
    assert type(getattr(params, name)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("method", "simclr:temperature=true", "temperature = True: input should be a valid number"),
        ("method", "simclr:temperature=warm", "temperature = 'warm': input should be a valid number"),
        ("method", "mae:norm_pix=1", "norm_pix = 1: input should be a valid boolean"),
        ("method", "mae:decoder_depth=1e0", "decoder_depth = 1.0: input should be a valid integer"),
        ("method", "mae:decoder_depth=1_0", "decoder_depth = '1_0': input should be a valid integer"),
        ("method", 'mae:decoder_depth="1"', "decoder_depth = '1': input should be a valid integer"),
        ("evaluator", "few-label:labels=[true]", "labels.0 = True: input should be a valid integer"),
        ("evaluator", "few-label:labels=1_0", "labels = '1_0': expected numbers, a+b+c"),
        ("evaluator", "few-label:labels=[1.0]", "labels.0 = 1.0: input should be a valid integer"),
    ],
)
def test_text_that_is_not_of_the_type_is_refused(kind, text, words):
    reference = parse_reference(text)
    spec = REGISTRY.get(kind, reference.name)
    assert resolve(spec.label, spec.params, reference.given)[1] == [f"{spec.label}: {words}"]


def test_a_parameter_given_twice_is_refused_with_every_other_mistake_of_the_entry():
    with pytest.raises(UserError) as caught:
        parse_reference("simclr:temperature=1,temperature=2,=3", "--method")
    assert caught.value.messages == (
        "--method: 'simclr:temperature=1,temperature=2,=3': 'temperature' is given twice; a parameter has one value",
        "--method: 'simclr:temperature=1,temperature=2,=3': '=3' is not key=value; expected NAME:key=value,key=value",
    )
    spec = REGISTRY.get("method", "simclr")
    assert resolve("x", spec.params, parse_reference('simclr:lr={"a":1,"a":2}').given)[1] == [
        "x: key 'a' is given twice"
    ]


def test_all_mistakes_of_a_file_are_told_whatever_table_they_are_in():
    data = {
        "colour": 3,
        "axis": {"x": 1},
        "seeds": [0, 0],
        "axes": {**AXES, "method": ["simclrr", "simclr:temperature=-1", "mae:norm_pix=1"], "evaluator": []},
        "training": {"epochs": True, "preset": "qick", "colour": 1},
        "sizes": {"small": {"seeds": [True], "training": {"batch_size": 1}}},
    }
    text = "\n".join(lines := mistakes_of(data))
    for words in [
        "s.toml: unknown key 'colour' (allowed: name,",
        "s.toml: unknown key 'axis'; did you mean 'axes'?",
        "s.toml: seeds = [0, 0]: seed 0 is given twice",
        "axes.method[0]: unknown method 'simclrr'",
        "axes.method[1]: method 'simclr': temperature = -1",
        "axes.method[2]: method 'mae': norm_pix = 1",
        "axis 'evaluator' is empty",
        "training.epochs = True",
        "unknown key 'training.colour'",
        "sizes.small.seeds = [True]",
        "sizes.small.training.batch_size = 1",
        "s.toml: training.preset: no plugin of this suite has a preset 'qick'; did you mean 'quick'?",
    ]:
        assert words in text
    assert len(lines) == 12


def test_the_mistakes_of_a_speed_suite_and_of_its_command_line_are_told_at_once(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[speed]\nstep = 3\nwarmup = true\nbatch_sizes = [8, 8]\n[axes]\nmethod = ["simclrr"]\n'
        '[[baselines]]\nname = "a"\n'
        'change = { precison = "fp32", batch_size = true }\n'
    )
    with pytest.raises(UserError) as caught:
        prepare(SpeedRequest(str(path), settings={"seconds": 0.0}))
    text = "\n".join(caught.value.messages)
    for words in [
        "unknown key 'speed.step'; did you mean 'steps'?",
        "speed.warmup = True: input should be a valid integer",
        "speed.batch_sizes = [8, 8]: each value may be given once",
        "command line: speed.seconds = 0.0: input should be greater than 0",
        "axes.method[0]: unknown method 'simclrr'",
        "baseline 'a': nothing is called 'precison'; did you mean 'precision'?",
        "baseline 'a': batch_size = True: a whole number above 0",
    ]:
        assert words in text
    assert len(caught.value.messages) == 7


def test_a_preset_that_nobody_has_is_a_mistake_and_one_that_some_have_is_said():
    wish = Overrides(training={"preset": "qick"})
    axes = {**AXES, "method": ["simclr", "raw-pixels"], "augmentation": ["auto"], "backbone": ["convnet-small"]}
    (line,) = mistakes_of({"axes": axes}, wish)
    assert line.startswith("--set preset: no plugin of this suite has a preset 'qick'; did you mean 'quick'? (allowed:")
    suite = resolved({"axes": axes}, Overrides(training={"preset": "quick"}))
    (note,) = suite.notes
    assert note.startswith("preset 'quick' is one of method 'simclr'; not of method 'raw-pixels', ")
    assert resolved({"axes": axes}).notes == ()


def test_the_preset_of_a_file_may_be_meant_for_methods_that_the_command_line_replaces():
    axes = {**AXES, "method": ["simclr"], "augmentation": ["auto"], "backbone": ["convnet-small"]}
    data = {"axes": axes, "training": {"preset": "quick"}}
    assert resolved(data, Overrides({"method": ["raw-pixels"]})).notes == ()
    (line,) = mistakes_of({"training": {"preset": "quick"}})
    assert line.startswith("s.toml: training.preset: no plugin of this suite has a preset 'quick'")


BAD_NAMES = ["", ".", "..", "../../x", "/abs/x", "a/b", "a\\b", "C:x", "a\nb", "a\x1bb", "a\u202eb"]
BAD_NAMES += ["x" * 101, "猫" * 90]
BAD_NAMES += ["end.", "end ", " front", ".hidden", "-x", "nul", "CON", "com1.txt", "a*", "a?", '"a"', "a|b", "\ud800"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_is_a_name_and_no_path(name):
    assert mistakes_of({"name": name}) == (f"s.toml: name = {name_mistake(name)}",)
    assert "a name has 1 to 100 characters" in name_mistake(name)
    assert any("is no name that a folder can have" in line for line in mistakes_of({"sizes": {name: {}}}))
    assert mistakes_of({}, name=name)[0].endswith('a key such as name = "photos" gives another')


@pytest.mark.parametrize("name", ["quick", "my photos (2)", "Übung", "猫", "a.b-c_d+e", "x" * 100, "console", "2024"])
def test_a_good_name_stays(name):
    assert name_mistake(name) == ""
    assert resolved({"name": name}).name == name


def test_what_is_too_large_is_refused_before_anything_is_crossed():
    many = {"axes": {**AXES, "method": ["raw-pixels"] * 700_000}}
    assert mistakes_of(many) == ("s.toml: axes.method has 700,000 entries; allowed: at most 10,000",)
    evaluators = [f"knn:k={k}" for k in range(1, 102)]
    words = "s.toml: the axes and seeds cross to 101,000 cells; allowed: at most 100,000 in one suite"
    assert mistakes_of({"axes": {**AXES, "evaluator": evaluators}, "seeds": ["0-999"]}) == (words,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "9" * 4301, "not valid TOML"),
        ("x = " + "[" * 3000, "nested too deeply"),
        ("x = 0x" + "f" * 5000, "unknown key 'x'|64 bits"),
        ("seeds = [0]\nseeds = [1]", "not valid TOML"),
        (
            "[training]\nepochs = 0x" + "f" * 5000,
            "epochs = a value of type int that is too large to be shown: ",
        ),
        ("[training]\npreset = 1979-05-27", "a date is no value here; allowed: text, numbers,"),
    ],
)
def test_odd_toml_is_one_line(tmp_path, text, words):
    path = tmp_path / "odd.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        resolve_suite(read_suite(str(path)), Overrides(AXES), REGISTRY)
    assert all("\n" not in line and len(line) < 500 for line in caught.value.messages)


def test_a_mark_at_the_start_of_a_file_is_no_mistake(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("\ufeffseeds = [3]\n", encoding="utf-8")
    suite = resolve_suite(read_suite(str(path)), Overrides(AXES), REGISTRY)
    assert (suite.seeds, [cell.axes["seed"] for cell in expand(suite)]) == ((3,), [3])


def test_a_file_that_is_too_large_a_folder_or_no_path_is_one_line(tmp_path):
    path = tmp_path / "huge.toml"
    with path.open("wb") as file:
        file.truncate(33 * 2**20)
    for name, words in [
        (str(path), "it is larger than the 32 MiB"),
        (str(tmp_path), "is a folder, not a suite"),
        ("a\0.toml", "cannot be read"),
        ("x" * 5000 + ".toml", "cannot be read"),
        ("x" * 5000, "unknown suite"),
    ]:
        with pytest.raises(UserError, match=words) as caught:
            read_suite(name)
        assert len(caught.value.messages[0]) < 500


def test_what_was_given_is_repeated_in_short():
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted("x" * 5000).endswith("' (5,002 characters)")
    assert quoted(10**5000) == "a value of type int that is too large to be shown"


def test_a_file_that_is_no_text_is_one_plain_line(tmp_path):
    path = tmp_path / "photo.toml"
    for content in (b"\xff\xd8\xff\xe0", b"\xff\xfex\x00", "name = 'é'".encode("latin-1")):
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            read_suite(str(path))
        assert str(caught.value) == f"suite {str(path)!r} cannot be read: it is no text in UTF-8; expected a .toml file"
