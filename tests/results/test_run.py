"""``sslbench.run`` takes what the command line takes, and says what is wrong in words of Python."""

from __future__ import annotations

import inspect
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import sslbench
from sslbench import UserError
from sslbench.contracts.executor import TrainingProgress
from sslbench.execute.events import RecordMade
from sslbench.plan.reference import Reference
from sslbench.results.plain import Switches
from sslbench.results.request import request_of
from sslbench.results.words import OPTIONS, keywords_for_options

DIGITS = {"data": "digits", "methods": "raw-pixels", "train_images": 32}


def test_keywords_become_the_request_of_the_command_line():
    axes = {
        "data": Path("photos"),
        "methods": ["simclr:temperature=0.2", {"name": "mae", "path": Path("w.pt")}],
        "maskings": None,
    }
    request = request_of(Path("mine.toml"), axes, range(3), {"epochs": 3, "out": "~/out", "fresh": True})
    assert request.suite == "mine.toml"
    assert request.overrides.axes["dataset"] == [Reference("./photos", {}, "data")]
    assert list(map(str, request.overrides.axes["method"])) == ["simclr:temperature=0.2", "mae:path=w.pt"]
    assert "masking" not in request.overrides.axes
    assert list(request.overrides.seeds) == [0, 1, 2]
    assert request.overrides.training == {"epochs": 3}
    assert (request.out, request.fresh) == (Path.home() / "out", True)


@pytest.mark.parametrize("seeds", [[0, 1], (0, 1), "0-1", range(2), "0,1"])
def test_seeds_are_written_in_any_of_the_usual_ways(seeds):
    assert list(request_of("quick", {}, seeds, {}).overrides.seeds) == [0, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "simclr"}, r"^unknown keyword 'method'; did you mean 'methods'\? \(allowed: data, methods, "),
        (
            {"epoch": 1, "batchsize": 2},
            r"'epochs'\?, 'batchsize'; did you mean 'batch_size'\? \(",
        ),
        ({"methods": "simclrr"}, r"^methods: unknown method 'simclrr'; did you mean 'simclr'\?"),
        (
            {"methods": {"name": "simclr", "temprature": 1}},
            r"^methods: method 'simclr': unknown parameter",
        ),
        ({"methods": []}, r'^methods = \[\]: names nothing; expected a name, "NAME:key=value", a path, or \{"name"'),
        ({"methods": [3]}, r"^methods = 3: expected a name"),
        ({"data": Path("photoz")}, r"photoz does not exist; expected ROOT/CLASS/IMAGE"),
        ({"data": "photoz"}, r"^data: unknown dataset 'photoz'; known: "),
        ({"seeds": 3}, r"^seeds = 3: expected a list, such as \[3\] for this seed or range\(3\) for three$"),
        ({"seeds": [0, 0]}, r"^seeds = \[0, 0\]: seed 0 is given twice$"),
        ({"seeds": [0.5]}, r"^seeds = \[0\.5\]: expected integers"),
        ({"epochs": -1}, r"^epochs = -1: input should be greater than or equal to 0$"),
        ({"precision": "fp64"}, r"^precision = 'fp64': input should be 'auto'"),
        ({"preset": "quik"}, r"^preset: no plugin of this suite has a preset 'quik'; did you mean 'quick'\?"),
        ({"fresh": True, "keep_stale": True}, r"^fresh=True and keep_stale=True: give one of them$"),
        ({"out": __file__}, r"^out='.*': a file; allowed: a folder"),
        ({"executor": "inlin"}, r"^executor: unknown executor 'inlin'; did you mean 'inline'\?"),
        ({"executor": "inline", "detach": True}, r"^detach=True: work of executor 'inline' does not go on"),
        ({"suite": "quik"}, r"^unknown suite 'quik'; did you mean 'quick'\?"),
        ({"suite": 3}, r"^suite = 3: expected the name of a suite, or the path of a \.toml file$"),
        ({"fresh": "no"}, r"^fresh = 'no': input should be a valid boolean$"),
        ({"download": "yes please"}, r"^download = 'yes please': input should be a valid boolean$"),
        ({"retries": "2"}, r"^retries = '2': input should be a valid integer$"),
        ({"retries": -1}, r"^retries = -1: input should be greater than or equal to 0$"),
        ({"max_cells": -1}, r"^max_cells = -1: input should be greater than or equal to 0$"),
        ({"size": 3}, r"^size = 3: input should be a valid string$"),
        ({"out": 3}, r"^out = 3: expected a path, as text or pathlib\.Path$"),
        ({"out": ""}, r"^out = '': expected a path"),
        ({"out": "a\0b"}, r"^out = 'a\\x00b': expected a path"),
        ({"out": "~nobody-of-this-name/x"}, r"^out = '~nobody-of-this-name/x': no home folder is known for it"),
        ({"executor": 3}, r'^executor = 3: expected a name, "NAME:key=value"'),
        ({"executor": {"name": "inlin"}}, r"^executor: unknown executor 'inlin'; did you mean 'inline'\?"),
        ({"progress": "yes"}, r"^progress = 'yes': expected True, False or a function that takes an event$"),
    ],
)
def test_mistakes_are_said_in_words_of_python(given, words):
    with pytest.raises(UserError, match=words) as caught:
        sslbench.run(**given)
    assert caught.value.__suppress_context__
    assert "--" not in str(caught.value)


def test_every_field_of_a_request_is_a_keyword_that_is_checked():
    assert {*Switches.model_fields, "out", "executor", "observers"} == OPTIONS
    given = {"out": "a/b", "retries": np.int64(2), "executor": {"name": "slurm", "slots": 3}, "fresh": None}
    request = request_of("quick", {}, np.arange(2), {**given, "epochs": np.int64(3)})
    assert (request.out, request.retries, request.executor, request.fresh) == (Path("a/b"), 2, "slurm:slots=3", False)
    assert (list(request.overrides.seeds), request.overrides.training) == ([0, 1], {"epochs": 3})


@pytest.mark.parametrize("value", [np.float64(0.25), np.array([0.25])[0]])
def test_numbers_of_numpy_are_numbers(value):
    request = request_of("quick", {"methods": {"name": "simclr", "temperature": value}}, None, {})
    assert type(request.overrides.axes["method"][0].given["temperature"]) is float


def test_options_of_the_command_line_become_keywords():
    lines = {
        "weights are gone (--fresh)": "weights are gone (fresh=True)",
        "--method and --batch-size 3": "methods and batch_size=3",
        "--dataset 'a--b'": "data='a--b'",
        "--retries -1: allowed are 0 and more": "retries=-1: allowed are 0 and more",
        "--devices 2 with --device cuda:1": 'devices=2 with device="cuda:1"',
        "tell hardly anything apart: --seeds 0-4.": 'tell hardly anything apart: seeds="0-4".',
        "no curve (--set curve_every=1)": "no curve (curve_every=1)",
        "not here; --download fetches it": "not here; download=True fetches it",
        "x; --out DIR keeps them apart": "x; out=DIR keeps them apart",
        "goes on: sslbench run quick --method mae --out x": "goes on: sslbench run quick --method mae --out x",
        "the folder that `sslbench run` wrote to (--out)": "the folder that `sslbench run` wrote to (out)",
        "damaged; sslbench run --fresh makes it again": "damaged; run(..., fresh=True) makes it again",
        "not shown: a (--details has all)": "not shown: a (table() has all)",
        "a folder called --where": "a folder called --where",
        "command line: training.epochs = 0": "epochs = 0",
        "--set: 'x'": "'x'",
        "mean - std -- a dash": "mean - std -- a dash",
    }
    assert {line: keywords_for_options(line) for line in lines} == lines


def test_an_observer_is_asked_for_by_name_as_the_plugins_of_the_axes_are(small, tmp_path):
    path = tmp_path / "events.jsonl"
    observers = {"name": "jsonl", "path": path}
    sslbench.run(**{**DIGITS, **small, "train_images": None}, out=tmp_path / "out", observers=observers)
    assert "raw-pixels" in path.read_text()
    with pytest.raises(UserError, match=r"^observers: unknown observer 'josnl'; did you mean 'jsonl'\?"):
        sslbench.run(observers="josnl")


def test_nothing_that_works_together_is_an_error(small, tmp_path):
    with pytest.raises(UserError, match=r"^nothing could be run: 1 cell: attention-segmentation needs mask"):
        sslbench.run(**{**DIGITS, **small, "evaluators": "attention-segmentation", "backbones": "vit"}, out=tmp_path)


def test_a_function_is_given_every_event(small, tmp_path):
    events = []
    sslbench.run(**{**DIGITS, **small, "progress": events.append}, out=tmp_path)
    assert [event.record.method for event in events if isinstance(event, RecordMade)] == ["raw-pixels"]


def test_without_progress_nothing_is_printed_and_what_should_be_known_is_a_warning(small, tmp_path, capfd):
    with pytest.warns(UserWarning, match="training on a fixed random 32 of 1,437 images") as caught:
        sslbench.run(**{**DIGITS, **small}, seeds=[0, 1], out=tmp_path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert capfd.readouterr() == ("", "")


def test_progress_is_printed_as_the_command_does(small, tmp_path, capfd):
    with warnings.catch_warnings(action="error"):
        sslbench.run(**{**DIGITS, **small, "progress": True}, out=tmp_path)
    out, err = capfd.readouterr()
    assert out == ""
    assert "sslbench: 1 of 1: raw-pixels digits seed 0\n" in err
    assert err.count("training on a fixed random 32") == 1


def test_an_interrupt_keeps_what_is_finished_and_ends_the_script(small, tmp_path):
    def interrupt(event):
        if isinstance(event, TrainingProgress):
            raise KeyboardInterrupt

    more = {"methods": ["raw-pixels", "simclr"], "progress": interrupt}
    with pytest.raises(KeyboardInterrupt, match="^1 cell kept in .*; the same call goes on from there$"):
        sslbench.run(**{**DIGITS, **small, **more}, out=tmp_path)
    with pytest.warns(UserWarning, match=r"^1 of 2 cells have results; 1 is not run yet, this goes on: sslbench run "):
        kept = sslbench.load(tmp_path)
    assert kept.table()["method"].tolist() == ["raw-pixels"]
    assert "1 of 2 cells have results" in kept.notes[0]


def test_part_of_a_run_says_what_is_left(small, tmp_path):
    more = {"methods": ["raw-pixels", "random-init"], "max_cells": 1, "train_images": None}
    with pytest.warns(UserWarning, match="1 of 2 cells have results"):
        sslbench.run(**{**DIGITS, **small, **more}, out=tmp_path)


def test_it_runs_in_a_thread(small, tmp_path):
    done = []

    def work():
        done.append(sslbench.run(**{**DIGITS, **small, "train_images": None}, out=tmp_path))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done[0].table()["status"].tolist() == ["1 done"]


def test_results_that_cannot_be_stored_say_so_and_are_there(small, tmp_path, monkeypatch):
    from sslbench.store import results

    def refuse(path):
        raise results.sqlite3.OperationalError("disk full")

    monkeypatch.setattr(results, "open_writable", refuse)
    with pytest.warns(UserWarning, match="not stored: .*disk full"):
        made = sslbench.run(**{**DIGITS, **small, "train_images": None}, out=tmp_path)
    assert len(made.records) == 1
    with pytest.raises(UserError, match="^these results could not be stored: there are no weights"):
        made.encoder()


def test_every_keyword_is_named_where_help_shows_it():
    parameters = inspect.signature(sslbench.run).parameters
    assert [*parameters][:2] == ["suite", "data"]
    assert {"methods", "augmentations", "maskings", "backbones", "evaluators", "seeds", "progress"} <= set(parameters)
