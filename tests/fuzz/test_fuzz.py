"""Odd input of every kind: it works, or it ends in a mistake of one line. The same examples in every run."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from sslbench import build_plugin
from sslbench.cli.main import call
from sslbench.contracts.names import name_mistake
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.suite import AXES, Overrides, RawSuite, read_suite
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.record import Record

REGISTRY = Registry()
EXIT_CODES = {0, 1, 2, 3, 130}


def fuzz(examples):
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=unhealthy
    )


def mistakes_of(function, *arguments):
    """The messages of a UserError, each one line; none where it works. Any other error is the test's."""
    try:
        function(*arguments)
    except UserError as error:
        messages = error.messages
    else:
        return ()
    assert messages
    assert all(message and "\n" not in message for message in messages)
    return messages


PLAIN_ODD = ["", " ", ".", "..", "../../x", "/abs/x", "nul", "a:b", "a=b", "0", "-1", "1_0", "01", "1e3", "nan", "true"]
LONG_ODD = ["x" * 300, "9" * 4400, "[" * 2000, "a\nb", "\x1b[31m", "\u202e", "\udcff", "猫", "\u0663"]
ODD = st.sampled_from([*PLAIN_ODD, *LONG_ODD, "null", "[1", '"x', "{}", "%s", "{0}"])
TEXT = ODD | st.text(max_size=12)
SCALAR = (
    TEXT
    | st.integers(-3, 70_000)
    | st.booleans()
    | st.floats(allow_nan=True)
    | st.dates()
    | st.builds(lambda: 10**5000)
    | st.none()
)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
PLUGINS = [
    "simclr",
    "mae",
    "raw-pixels",
    "digits",
    "convnet-small",
    "random",
    "knn",
    "few-label",
    "none",
    "auto",
    "imagefolder",
]
KEYS = st.sampled_from(["temperature", "lr", "preset", "root", "size", "k", "labels", "name", "ratio"]) | TEXT
REFERENCE = st.builds(lambda name, key, value: f"{name}:{key}={value}", st.sampled_from(PLUGINS), KEYS, TEXT)
ENTRY = (
    st.sampled_from(PLUGINS)
    | REFERENCE
    | VALUE
    | st.builds(
        lambda name, more: {**more, "name": name}, st.sampled_from(PLUGINS), st.dictionaries(KEYS, VALUE, max_size=2)
    )
)
SEEDS = st.lists(st.integers(0, 3) | ODD | st.sampled_from(["0-2", "2-0", "0-99999", "-1-2"]), max_size=3) | VALUE
SETTING = st.sampled_from(["epochs", "batch_size", "preset", "device", "curve", "curve_every", "compile", "colour"])
TRAINING = st.dictionaries(SETTING, VALUE | st.integers(1, 9), max_size=4)
AXES_OF = st.dictionaries(st.sampled_from([*AXES, "colour"]), st.lists(ENTRY, max_size=3) | VALUE, max_size=6)
SIZE = st.fixed_dictionaries({}, optional={"axes": AXES_OF, "seeds": SEEDS, "training": TRAINING, "x": VALUE})
SUITE = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXT | VALUE,
        "seeds": SEEDS,
        "axes": AXES_OF | VALUE,
        "training": TRAINING | VALUE,
        "sizes": st.dictionaries(TEXT, SIZE | VALUE, max_size=2) | VALUE,
        "colour": VALUE,
    },
)
WHOLE = {
    "axes": {"method": ["raw-pixels"], "dataset": ["digits"], "evaluator": ["knn"]},
    "seeds": ["0-1"],
    "training": {"epochs": 3},
}


@fuzz(250)
@given(SUITE, st.booleans())
def test_a_suite_resolves_or_says_what_is_wrong(data, completed):
    raw = RawSuite("s", "s.toml", {**WHOLE, **data} if completed else data)

    def resolve():
        suite = resolve_suite(raw, Overrides(), REGISTRY)
        assert name_mistake(suite.name) == ""
        expand(suite)

    mistakes = mistakes_of(resolve)
    assert all(len(message) < 2_000 for message in mistakes)


TOML = """name = "mine"
seeds = [0, "2-3"]
[axes]
method = ["raw-pixels", { name = "simclr", temperature = 0.2 }]
dataset = ["digits"]
evaluator = ["knn:k=5"]
augmentation = ["auto"]
backbone = ["convnet-small"]
[training]
epochs = 20
"""


@fuzz(150)
@given(
    st.integers(0, len(TOML)), st.integers(0, 12), TEXT, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])
)
def test_a_file_of_a_suite_is_read_or_says_what_is_wrong(tmp_path, start, length, text, encoding):
    path = tmp_path / "mine.toml"
    path.write_bytes((TOML[:start] + text + TOML[start + length :]).encode(encoding, "ignore"))
    mistakes_of(lambda: resolve_suite(read_suite(str(path)), Overrides(), REGISTRY))
    assert [item.name for item in tmp_path.iterdir()] == ["mine.toml"]


WORDS = TEXT | st.sampled_from(
    [*PLUGINS, "quick", "augmentations", "mae-speedup", "small", "method", "simclr:preset=quick"]
)
OPTIONS = (
    "-m -a -k -e -d -b -o --size --seeds --epochs --batch-size --set --device --help --precision --compile --format"
)
MORE_OPTIONS = "--executor --where --fail-on --across --labels --threshold --seed --fresh --baseline --colour"
OPTION = st.sampled_from([*OPTIONS.split(), *MORE_OPTIONS.split()])
PAIR = st.builds(lambda key, value: f"{key}={value}", SETTING | st.sampled_from(["method", "seed", "precision"]), TEXT)
LINES = st.lists(OPTION | WORDS | PAIR | REFERENCE, max_size=7)
# Each with what keeps it from working for long: what is looked at is how a line is read.
COMMANDS = {
    "plan": [],
    "run": ["--max-cells", "0", "--out", "out"],
    "speed": ["-m", "nobody"],
    "simulate": ["--set", "nobody=1"],
    "results": [],
    "compare": [],
    "export": [],
    "predict": ["nobody"],
    "embed": ["nobody/at/all"],
    "recipe": ["nobody"],
    "show": [],
    "list": [],
    "suites": [],
}


@fuzz(200)
@given(st.sampled_from(sorted(COMMANDS)), LINES)
def test_a_command_line_ends_with_a_documented_code(tmp_path, monkeypatch, capsys, command, words):
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    code = call([command, *COMMANDS[command], *words])
    out, err = capsys.readouterr()
    assert code in EXIT_CODES
    assert "Traceback" not in out + err
    if code == 2:
        assert "sslbench: error: " in err
    outside = {path for path in tmp_path.rglob("*") if folder not in path.parents}
    assert outside == {tmp_path / "a", tmp_path / "a/b", folder}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Six images of 8 pixels, and their bytes."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def read(name, **given):
    """Both splits of a data set, with all their images."""
    data = build_plugin("dataset", name, given=given)
    for split in map(data.split, ("train", "test")):
        split.images[:]
        if split.labels is not None:
            assert len(split.labels) == len(split)
            assert all(0 <= label < len(data.classes) for label in split.labels.tolist())


SPLITS = st.sampled_from(["train", "test", "Training", "testing", "dev", "val", "0", "1", "", "tset", "True"]) | TEXT
HEADER = st.lists(st.sampled_from(["path", "label", "split", "Label", "file", "is_valid", ""]) | TEXT, max_size=4)
PATH = st.sampled_from([f"{number}.png" for number in range(6)] + ["none.png", "../0.png", "a/../0.png"]) | TEXT
ROWS = st.lists(st.tuples(PATH, st.sampled_from("ab") | TEXT, SPLITS), max_size=8)


@fuzz(60)
@given(
    ROWS, st.just(["path", "label", "split"]) | st.just(["path", "label"]) | HEADER, st.sampled_from([",", ";", "\t"])
)
def test_a_table_of_labels_is_read_or_says_what_is_wrong(images, tmp_path, rows, header, comma):
    table = tmp_path / "labels.csv"
    lines = [comma.join(header), *(comma.join(row[: len(header)]) for row in rows)]
    table.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    mistakes_of(lambda: read("imagefolder", root=str(images), labels=str(table), size=8))


COLUMN = st.sampled_from(["image", "label", "mask", "img", "split", "x", "bytes"]) | TEXT
KIND = st.sampled_from(["bytes", "struct", "int", "text", "float", "null", "list"])


def column(kind, count, image):
    values = {
        "bytes": pa.array([image] * count),
        "struct": pa.array([{"bytes": image, "path": "x.png"}] * count),
        "int": pa.array([number % 3 - 1 for number in range(count)]),
        "text": pa.array([f"class {number % 2}" for number in range(count)]),
        "float": pa.array([0.5] * count),
        "null": pa.nulls(count),
        "list": pa.array([[1, 2]] * count),
    }
    return values[kind]


@fuzz(60)
@given(
    st.dictionaries(
        st.sampled_from(["train-0", "test-0", "x", "validation"]), st.dictionaries(COLUMN, KIND, max_size=3), max_size=2
    ),
    st.integers(0, 6),
)
def test_a_folder_of_parquet_is_read_or_says_what_is_wrong(images, tmp_path, files, count):
    for old in tmp_path.glob("*.parquet"):
        old.unlink()
    image = (images / "0.png").read_bytes()
    for name, columns in files.items():
        columns = {key.encode(errors="replace").decode(): kind for key, kind in columns.items()}
        pq.write_table(
            pa.table({key: column(kind, count, image) for key, kind in columns.items()}), tmp_path / f"{name}.parquet"
        )
    mistakes_of(lambda: read("parquet", path=str(tmp_path), size=8))


FOLDERS = st.sampled_from(
    ["train", "Training", "testing", "test_set", "dev", "val", "healthy", "sick", "@eaDir", "2024", "-x"]
)


@fuzz(40)
@given(st.dictionaries(FOLDERS, st.sets(st.sampled_from(["", "a", "b", "test"]), min_size=1), max_size=4))
def test_a_folder_of_images_is_read_or_says_what_is_wrong(images, tmp_path, tree):
    root = tmp_path / f"root{len(list(tmp_path.iterdir()))}"
    root.mkdir()
    for outer, inners in tree.items():
        for inner in inners:
            (root / outer / inner).mkdir(parents=True, exist_ok=True)
            for number in range(3):
                (root / outer / inner / f"{number}.png").write_bytes((images / f"{number}.png").read_bytes())
    mistakes_of(lambda: read("imagefolder", root=str(root), size=8))


RECORD = {
    "schema": 2,
    "cell": "c",
    "status": "done",
    "method": "simclr",
    "seed": 0,
    "params": {"method": {"lr": 0.1}, "training": {"epochs": 3}},
    "metrics": {"top1": {"value": 0.5, "unit": "", "n": 3}},
    "pretraining": {"key": "k", "losses": [1.0, None], "curve": [{"epoch": 1, "loss": 0.5, "metrics": {}}]},
    "features": {"dim": 3},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@fuzz(200)
@given(st.dictionaries(st.sampled_from([*RECORD, "data", "kind", "speed", "headline", "more"]), JSON, max_size=3))
def test_a_record_is_read_or_damaged(changes):
    data = {**RECORD, **changes}
    try:
        record = Record.from_json(json.loads(json.dumps(data)), "here")
    except DamagedRecord as error:
        record, damage = None, str(error)
        assert "\n" not in damage, damage
    assert record is None or "NaN" in json.dumps(data) or Record.from_json(record.to_json()) == record
