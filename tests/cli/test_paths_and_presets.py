"""Paths and presets where a plugin, a suite or an option is expected."""

from __future__ import annotations

import io
import json
import os
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sslbench.cli.main import call

RAW = ("-m", "raw-pixels", "-e", "knn")


def save(path, grey, seed):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pixels = np.random.default_rng(seed).normal(grey, 20, (8, 8)).clip(0, 255).astype(np.uint8)
    with open(path, "wb") as stream:
        Image.fromarray(pixels).save(stream, "png")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """``photos`` with two classes, ``flat`` with none, beside the working folder."""
    for number in range(10):
        save(tmp_path / "photos" / "cat" / f"{number}.png", 60, number)
        save(tmp_path / "photos" / "dog" / f"{number}.png", 180, number)
        save(tmp_path / "flat" / f"{number}.png", 60, number)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def output_of(capsys, *arguments):
    code = call(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_path_is_the_data_set_of_labelled_images(capsys, folders):
    keys = set()
    for text in ("../photos", str(folders / "photos"), "imagefolder:root=../photos/", "imagefolder:root=./../photos"):
        code, out, _ = output_of(capsys, "run", "-d", text, *RAW, "--out", "out", "--format", "json")
        (record,) = json.loads(out)["records"]
        assert (code, record["metrics"]["knn_top1"]["value"]) == (0, 1.0)
        assert record["params"]["dataset"]["root"] == str(folders / "photos")
        keys.add((record["cell"], record["data"]["fingerprint"]))
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("run", "../photos"),
            "../photos is a folder, not a suite; sslbench run -d ../photos evaluates",
        ),
        (("plan", "../photos"), "sslbench recipe ../photos says what to do with them"),
        (("run", "-d", "imagefolder:../photos"), "'../photos' is not key=value; .*; write imagefolder:root=../photos"),
        (("run", "-d", "images:../flat"), "write images:root=../flat"),
        (("run", "-d", "parquet:../x.parquet"), "write parquet:path=../x.parquet"),
        (("run", "-d", "../flat"), "has 10 images but no folder for a class; .*; images:root=.*/flat reads them"),
        (("run", "-d", "../labels.csv"), "labels.csv is a table of labels; write imagefolder:root=FOLDER,labels="),
        (("run", "-d", "../nowhere"), "root=.*/nowhere does not exist; expected ROOT/CLASS/IMAGE"),
        (
            ("run", "-d", "x.parquet:size=8"),
            "path=.*/work/x.parquet does not exist; expected a parquet file",
        ),
        (
            ("run", "-m", "dinov2-vits14"),
            "'dinov2-vits14'; it is a preset of pretrained: write pretrained:",
        ),
        (("run", "-m", "pretrained:dinov2-vits14"), "write pretrained:preset=dinov2-vits14"),
        (("embed", "../photos", "-o", "x.npz", "-m", "dinov2-vits14"), "write pretrained:preset=dinov2-vits14"),
        (("plan", "-d", "imagefolder:root=2024"), "root=.*/work/2024 does not exist"),
        (("plan", "-d", "imagefolder:root=true"), "root=.*/work/true does not exist"),
        (("plan", "-d", "imagefolder:root=a,b=c"), 'unknown parameter .b.; a value with a comma .*: root="a,b=c"'),
        (("plan", "-d", 'imagefolder:root="a,b=c"'), "root=.*/work/a,b=c does not exist"),
        (("plan", "-d", "imagefolder:root=a,sise=8"), "unknown parameter 'sise'; did you mean 'size'?"),
    ],
)
def test_what_names_no_plugin_says_what_to_write(capsys, arguments, words):
    import re

    code, out, err = output_of(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(words.replace("?", "[?]"), err), err


def test_the_home_folder_is_found_wherever_a_path_is_given(capsys, folders):
    code, _, _ = output_of(capsys, "run", "-d", "~/../photos", *RAW, "--out=~/out")
    assert code == 0
    assert (folders / "home" / "out" / "results.sqlite").is_file()
    assert not (folders / "work" / "~").exists()
    code, out, _ = output_of(capsys, "results", "~/out", "--format", "json")
    assert len(json.loads(out)["records"]) == 1


def test_file_names_of_latin_1_survive_tables_and_files(capsys, folders):
    root = os.fsencode(folders / "latin")
    for number in range(10):
        save(root + b"/caf\xe9/\xe9%d.png" % number, 60, number)
        save(root + b"/dog/%d.png" % number, 180, number)
    for fmt in ("table", "markdown", "csv", "json"):
        assert output_of(capsys, "run", "-d", "../latin", *RAW, "--out", "out", "--format", fmt)[0] == 0
    for ending in ("parquet", "npz", "safetensors"):
        assert output_of(capsys, "embed", "../latin", "-m", "raw-pixels", "-o", f"x.{ending}")[0] == 0
    table = pq.read_table("x.parquet").to_pydict()
    assert set(table["label_name"]) == {"caf\\xe9", "dog"}
    assert str(folders / "latin" / "caf\\xe9" / "\\xe93.png") in table["path"]


def rows(values, labels):
    cells = []
    for value in values:
        file = io.BytesIO()
        Image.new("L", (8, 8), value).save(file, "png")
        cells.append({"bytes": file.getvalue(), "path": None})
    return pa.table({"image": cells, "label": labels})


def saved_by_datasets(folder):
    folder.mkdir()
    table = rows(range(20, 40), [0, 1] * 10)
    with pa.OSFile(str(folder / "x.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "x.arrow"}]}))


def arrow_alone(folder):
    saved_by_datasets(folder)
    (folder / "state.json").unlink()


def parquet_files(folder):
    (folder / "train").mkdir(parents=True)
    pq.write_table(rows(range(20, 40), [0, 1] * 10), folder / "train" / "0.parquet")


def tars(folder):
    folder.mkdir()
    for number in range(20):
        save(folder / "x.png", 20 + number, number)
        (folder / "x.cls").write_text(str(number % 2))
        with tarfile.open(folder / "0.tar", "a") as tar:
            tar.add(folder / "x.png", f"{number}.png")
            tar.add(folder / "x.cls", f"{number}.cls")
    (folder / "x.png").unlink()
    (folder / "x.cls").unlink()


KINDS = {"webdataset": tars, "hf-disk": saved_by_datasets, "hf-disk alone": arrow_alone, "parquet": parquet_files}


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_other_files_is_the_data_set_that_reads_them(capsys, folders, kind):
    KINDS[kind](folders / "saved")
    code, out, _ = output_of(capsys, "run", "-d", "../saved", *RAW, "--out", "out", "--format", "json")
    (record,) = json.loads(out)["records"]
    assert (code, record["dataset"]) == (0, kind.split()[0])
    assert record["params"]["dataset"]["path"] == str(folders / "saved")
    code, _, err = output_of(capsys, "embed", "../saved", "-m", "raw-pixels", "-o", "x.parquet")
    assert (code, pq.read_table("x.parquet").num_rows) == (0, 20), err
    code, out, err = output_of(capsys, "look", "../saved:size=16")
    assert code == 0
    assert out.startswith("../saved:size=16: 16 images to train on, 4 others held out"), out


def test_a_file_of_arrays_is_the_data_set_that_reads_it(capsys, folders):
    held = {}
    for part in ("train", "test"):
        held[f"{part}_images"] = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
        held[f"{part}_labels"] = np.arange(20)[:, None] % 2
    np.savez(folders / "work" / "x.npz", **held)
    code, out, _ = output_of(capsys, "run", "-d", "x.npz", *RAW, "--out", "out", "--format", "json")
    (record,) = json.loads(out)["records"]
    assert (code, record["dataset"], record["params"]["dataset"]["path"]) == (0, "medmnist", os.path.abspath("x.npz"))
    code, out, err = output_of(capsys, "embed", "x.npz", "-m", "raw-pixels", "-o", "features.npz")
    assert code == 0, err
    code, out, err = output_of(capsys, "run", "-d", "features.npz", *RAW)
    assert (code, out) == (2, "")
    assert "features.npz has no array train_images; it holds" in err or "has no array train_labels" in err


def test_a_folder_of_images_with_other_files_beside_them_is_one_of_images(capsys, folders):
    pq.write_table(rows([1, 2], [0, 1]), folders / "photos" / "all.parquet")
    code, out, _ = output_of(capsys, "run", "-d", "../photos", *RAW, "--out", "out", "--format", "json")
    assert (code, json.loads(out)["records"][0]["dataset"]) == (0, "imagefolder")
