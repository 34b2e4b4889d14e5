"""What keeps a tracker from being used is said before anything runs, without its library where that is missing."""

from __future__ import annotations

import socket
from importlib.machinery import ModuleSpec

import pytest

from sslbench import BuildContext, ObserverSpec, UserError
from sslbench.contracts import observer
from sslbench.hooks.registry import Registry
from sslbench.plan.observers import read_observers
from sslbench.plan.suite import RawSuite
from sslbench_plugins.observers import mlflow, wandb
from sslbench_plugins.observers.mlflow import bare, check_server
from sslbench_plugins.observers.wandb import KnownRuns

TRACKERS = ("mlflow", "tensorboard", "wandb")


@pytest.mark.parametrize("name", TRACKERS)
@pytest.mark.parametrize("found", [None, ModuleSpec("folder", None)], ids=["nothing", "a folder of that name"])
def test_a_library_that_is_missing_is_named_with_how_to_get_it(monkeypatch, name, found):
    monkeypatch.setattr(observer, "find_spec", lambda library: found)
    _, mistakes = read_observers(RawSuite("s", "s"), [name], Registry())
    assert mistakes == [f'observer {name!r} needs {name}: pip install "sslbench[{name}]"']


@pytest.mark.parametrize("name", TRACKERS)
def test_one_whose_library_is_there_misses_nothing(monkeypatch, name):
    monkeypatch.setattr(observer, "find_spec", lambda library: ModuleSpec(library, None, origin="there"))
    assert read_observers(RawSuite("s", "s"), [name], Registry())[1] == []


def test_one_that_needs_no_library_misses_none():
    assert ObserverSpec(name="mine", build=lambda params, context: None).missing == ""


@pytest.mark.parametrize(("name", "key"), [("jsonl", "path"), ("tensorboard", "folder"), ("wandb", "folder")])
@pytest.mark.parametrize("inside", ["", "below/it"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch, name, key, inside):
    taken = tmp_path / "taken"
    if (name, inside) == ("jsonl", ""):
        taken.mkdir()
    else:
        taken.write_text("a file")
    monkeypatch.setattr(wandb, "import_module", lambda library: None)
    spec = Registry().get("observer", name)
    place = taken / inside
    with pytest.raises(UserError, match=f"^observer {name!r}: {key}={place}: cannot be (made|written): "):
        spec.build(spec.params(**{key: str(place)}), BuildContext())


@pytest.mark.parametrize("uri", ["http://me:secret@host:5000", "https://token@host/path"])
def test_a_password_in_an_address_is_refused_and_not_shown(monkeypatch, uri):
    monkeypatch.setattr(mlflow, "import_module", lambda library: None)
    spec = Registry().get("observer", "mlflow")
    with pytest.raises(UserError, match="^observer 'mlflow': tracking_uri has a user or password in it") as caught:
        spec.build(spec.params(tracking_uri=uri), BuildContext())
    assert "secret" not in str(caught.value)
    assert bare("sqlite:///a@b.db") == "sqlite:///a@b.db"
    assert bare("http://host:5000/@x") == "http://host:5000/@x"


def test_a_server_that_does_not_answer_is_named():
    with socket.socket() as taken:  # and listens to nobody
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            UserError, match=f"observer 'mlflow': no server answers at {uri}: .*refused; start one with"
        ):
            check_server(uri)
    with pytest.raises(UserError, match="no server answers at http://a b: "):
        check_server("http://a b")
    check_server("sqlite:///here.sqlite")


def test_known_runs_outlive_a_process_and_damage(tmp_path):
    path = tmp_path / "wandb" / "known.json"
    KnownRuns(path).put("a", 0, 3)
    KnownRuns(path).put("b", 1, 4)
    assert [KnownRuns(path).get(run) for run in ("a", "b", "c")] == [(0, 3), (1, 4), (0, 0)]
    path.write_text("[")
    assert KnownRuns(path).get("a") == (0, 0)
