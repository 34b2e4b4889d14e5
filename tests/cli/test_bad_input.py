"""What cannot work is reported in one line that names the parameter, before the first step."""

from __future__ import annotations

import json

import pytest

from sslbench.cli.main import call
from sslbench.errors import UserError

DIGITS = "run -d digits -e knn --epochs 1 --set preset=quick --format json --out out".split()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def no_step(*_):
    raise AssertionError("a step was taken")


SMALL_VIT = "vit-tiny-small-image:dim=8,depth=1,heads=1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("-m", "simclr", "-b", "convnet-small", "--batch-size", "8", "--set", "accumulate=8"),
            "batch of 1: batch norm needs at least 2 images at once (batch_size, accumulate)",
        ),
        (
            ("-m", "mae", "-k", "random", "-b", f"{SMALL_VIT},patch_size=3"),
            "image size 8 is not divisible by patch_size = 3",
        ),
        (("-m", "mae", "-k", "random", "-b", "vit:size=tiny"), "image size 8 is not divisible by patch_size = 16"),
        (
            ("-m", "dino:local_size=1,local_crops=2", "-a", "dino", "-b", f"{SMALL_VIT},patch_size=2"),
            "local_size = 1 px does not hold whole patches of 2 px; allowed: a multiple of 2",
        ),
        (
            ("-m", "moco:queue_size=31", "-b", "convnet-small", "--batch-size", "32"),
            "queue_size = 31 is shorter than the 32 keys of a batch of 32; allowed: 32 or more",
        ),
        (
            ("-m", "mae", "-k", "random:ratio=0.99", "-b", SMALL_VIT),
            "mask ratio = 0.99 leaves 0 of 64 patches visible",
        ),
    ],
)
def test_what_shows_only_with_the_data_fails_its_cell_before_the_first_step(capsys, monkeypatch, arguments, words):
    monkeypatch.setattr("sslbench.train.trainer.Trainer._train_step", no_step)
    code = call([*DIGITS, *arguments])
    (record,) = json.loads(capsys.readouterr().out)["records"]
    assert (code, record["status"]) == (1, "failed")
    assert words in record["reason"]
    assert "\n" not in record["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-m", "simclr", "--batch-size", "1"), "batch_size = 1: input should be greater than or equal to 2"),
        (("-m", "simclr:temperature=0"), "method 'simclr': temperature = 0: input should be greater than 0"),
        (("-m", "moco:temperature=0"), "method 'moco': temperature = 0: input should be greater than 0"),
        (("-m", "moco-v3:temperature=0"), "method 'moco-v3': temperature = 0: input should be greater than 0"),
        (
            ("-m", "dino:student_temperature=0"),
            "method 'dino': student_temperature = 0: input should be greater than 0",
        ),
        (
            ("-m", "dino:teacher_temperature=0"),
            "method 'dino': teacher_temperature = 0: input should be greater than 0",
        ),
        (("-m", "mae", "-k", "random:ratio=1"), "masking 'random': ratio = 1: input should be less than 1"),
        (("-m", "mae", "-k", "random:ratio=0"), "masking 'random': ratio = 0: input should be greater than 0"),
        (("-m", "byol:warmup_epochs=2"), "warmup_epochs = 2 is longer than the training (epochs = 1); allowed: 0 to 1"),
    ],
)
def test_what_no_data_could_mend_runs_nothing(capsys, arguments, words):
    assert call([*DIGITS, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_queue_that_no_batch_divides_trains(capsys):
    method = ("-m", "moco:queue_size=1000", "-b", "convnet-small:width=4", "--batch-size", "256")
    assert call([*DIGITS, *method, "--set", "train_images=1024", "-a", "flip-only"]) == 0
    (record,) = json.loads(capsys.readouterr().out)["records"]
    assert record["status"] == "done"
    assert record["pretraining"]["steps"] == 4, "1,024 keys: the queue wraps in the middle of the fourth batch"


def test_a_message_is_one_line_whatever_it_quotes():
    error = UserError("column 'a\nb' is no image", "two")
    assert error.messages == ("column 'a\\nb' is no image", "two")
    assert str(error) == "column 'a\\nb' is no image\ntwo"
