"""What a run looked at is said before it trains, beside its results, and where the results are read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from sslbench.cli.main import call

UNTRAINED = ("-m", "raw-pixels", "-e", "knn", "--device", "cpu")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3)).astype(np.uint8))


@pytest.fixture
def photos(tmp_path):
    """97 of 100 images are of one class."""
    for name, count in (("healthy", 97), ("sick", 3)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            noise(1000 * count + number).save(tmp_path / f"photos/{name}/{number}.png")
    return f"imagefolder:root={tmp_path}/photos,size=8"


def words_of(capsys, *arguments):
    """Exit code, stdout and stderr, each in one line."""
    code = call([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, " ".join(out.split()), " ".join(err.split())


def test_images_classes_and_the_majority_are_said_in_run_and_results(capsys, photos):
    _, out, err = words_of(capsys, "run", *UNTRAINED, "-d", photos, "--out", "r")
    assert "imagefolder: 80 images to train on, 20 " in err
    assert "to evaluate on (95% are 'healthy'), 2 classes, 8 px" in err
    assert "20 images to evaluate on can show no difference in accuracy below 30 points" in err
    shown = words_of(capsys, "results", "r")[1]
    for text in (out, shown):
        assert "80 images to train on, 20 " in text
        assert "majority 0.950 0.500" in text, "the share of the larger class, and one of two classes"
        assert "20 images to evaluate on can show no difference in accuracy below 30 points" in text


def test_the_tables_beside_the_main_one_say_what_a_constant_answer_gets(capsys, photos):
    call(["run", *UNTRAINED, "-d", photos, "--out", "r"])
    capsys.readouterr()
    assert "majority on imagefolder: 0.950 (95% are 'healthy')" in words_of(capsys, "results", "r", "--statistics")[1]


def test_json_has_all_of_it(capsys, photos):
    call(["run", *UNTRAINED, "-d", photos, "--out", "r", "--format", "json"])
    (record,) = json.loads(capsys.readouterr()[0])["records"]
    data = record["data"]
    assert (data["train_images"], data["test_images"], data["classes"], data["duplicates"]) == (80, 20, 2, 0)
    assert (data["majority_class"], data["majority_share"]) == ("healthy", 0.95)
    assert data["fingerprint"]


def test_an_evaluator_that_is_added_later_knows_it_too(capsys, photos):
    call(["run", *UNTRAINED, "-d", photos, "--out", "r"])
    capsys.readouterr()
    call(["run", "-m", "raw-pixels", "-e", "retrieval", "-d", photos, "--out", "r", "--format", "json"])
    out, err = capsys.readouterr()
    (record,) = json.loads(out)["records"]
    assert record["data"]["test_images"] == 20
    assert "80 images to train on" in err


def test_the_batch_that_is_used_is_said_where_there_are_fewer_images(capsys, photos):
    trained = ("-m", "simclr:preset=quick", "-b", "convnet-small", "-e", "knn", "--epochs", "2", "--device", "cpu")
    arguments = ("run", *trained, "-a", "none", "-d", photos, "--batch-size", "256", "--out", "r")
    _, out, err = words_of(capsys, *arguments)
    assert "batch 80 (asked for 256: there are no more images): 1 step an epoch, 2 in all" in err
    assert "batch 80 (asked for 256: there are no more images) · 1 step an epoch, 2 in all" in out
    call([*arguments, "--format", "json"])
    (record,) = json.loads(capsys.readouterr()[0])["records"]
    assert (record["params"]["training"]["batch_size"], record["pretraining"]["batch_size"]) == (256, 80)


def test_images_to_evaluate_on_that_are_trained_on_are_named(capsys, tmp_path):
    for split, first in (("train", 0), ("test", 15)):
        for label in ("a", "b"):
            (tmp_path / f"copies/{split}/{label}").mkdir(parents=True)
            for number in range(first, first + 20):
                noise(number + 100 * (label == "b")).save(tmp_path / f"copies/{split}/{label}/{number}.png")
    _, out, err = words_of(capsys, "run", *UNTRAINED, "-d", f"imagefolder:root={tmp_path}/copies", "--out", "r")
    line = "imagefolder: 10 of 40 images to evaluate on equal images to train on: accuracies can be too high by as many"
    assert line in err
    assert line in out
    assert line in words_of(capsys, "results", "r")[1]


def test_a_plan_says_what_a_run_has_counted_and_else_that_the_run_counts(capsys, photos):
    arguments = ("-m", "raw-pixels", "-d", photos, "--out", "r", "--batch-size", "256", "--epochs", "2")
    _, out, _ = words_of(capsys, "plan", *arguments, "-e", "knn")
    assert out.startswith("imagefolder: its images are counted when they are read; run says how many there are")
    call(["run", *arguments, "-e", "knn"])
    capsys.readouterr()
    _, out, _ = words_of(capsys, "plan", *arguments, "-e", "knn", "-e", "retrieval")
    assert out.startswith("imagefolder: 80 images to train on, 20 ")
    assert "epoch" not in out, "nothing is trained"
    trained = ("-m", "simclr:preset=quick", "-m", "byol:preset=quick,epochs=7", "-b", "convnet-small")
    _, out, _ = words_of(capsys, "plan", *arguments, *trained, "-e", "knn")
    assert "batch 80 (asked for 256: there are no more images): 1 step an epoch, 2 or 7 in all" in out
    assert "dataset epochs seed" in out
    call(["plan", *arguments, "-e", "knn", "--format", "json"])
    (data,) = json.loads(capsys.readouterr()[0])["data"]
    assert (data["dataset"], data["facts"]["test_images"]) == ("imagefolder", 20)


def test_a_plan_forgets_what_was_counted_when_the_images_change(capsys, photos, tmp_path):
    arguments = ("-m", "raw-pixels", "-d", photos, "--out", "r", "-e", "knn")
    call(["run", *arguments])
    capsys.readouterr()
    noise(7).save(tmp_path / "photos/sick/new.png")
    assert words_of(capsys, "plan", *arguments)[1].startswith("imagefolder: its images are counted when they are read")
