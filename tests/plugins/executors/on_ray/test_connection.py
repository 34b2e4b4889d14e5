"""The way to a cluster: one line where there is none, nobody's cluster ended."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest

from sslbench import UserError
from sslbench_plugins.executors.ray.connection import Connection, check, environment_of_workers, known_address


def refusal(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    (line,) = error.value.messages
    return line


@pytest.mark.parametrize("folder", [False, True])
def test_ray_that_is_not_installed_is_one_line(monkeypatch, tmp_path, folder):
    monkeypatch.setitem(sys.modules, "ray", None)
    if folder:  # a folder of that name where Python looks
        monkeypatch.delitem(sys.modules, "ray")
        (tmp_path / "ray").mkdir()
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert refusal(Connection.to, "auto") == "executor 'ray' needs ray: pip install 'sslbench[ray]'"


def test_addresses_that_cannot_be(monkeypatch, tmp_path):
    assert check("local") is None
    for address in ("x", "host:", "host:port", ":6379", "host:0", "host:65536"):
        assert refusal(check, address) == f"executor 'ray': address={address}: allowed are auto, local and HOST:PORT"
    assert "tasks do not report through Ray Client" in refusal(check, "ray://head:10001")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    line = refusal(check, "auto")
    assert line.startswith("executor 'ray': no cluster runs on this machine (address=auto); start one with `ray start")
    assert line.endswith("or address=local for a new one on this machine")


def test_an_address_where_nothing_answers_is_one_line_and_one_that_answers_passes(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert check(address) is None
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(address + "\n")
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
        assert known_address() == address
        assert check("auto") is None
    assert refusal(check, address).startswith(
        f"executor 'ray': no cluster answers at {address}: Connection refused; start"
    )
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert known_address() == "10.0.0.1:6379"


def test_what_is_opened_here_is_left_here_and_signals_stay_ours(ray, monkeypatch):
    def mine(number, frame):
        pass

    before = signal.signal(signal.SIGTERM, mine)
    try:
        monkeypatch.setattr(type(ray), "init", lambda self, **given: signal.signal(signal.SIGTERM, signal.SIG_DFL))
        connection = Connection.to("local")
        assert connection.is_local
        connection.open()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    connection.close()
    connection.close()
    assert ray.shutdowns == 1


def test_a_connection_of_the_users_own_is_used_and_stays(ray):
    ray.connected = True
    connection = Connection.to("local")
    assert not connection.is_local
    assert len(connection.nodes()) == 2
    connection.close()
    assert (ray.asked, ray.shutdowns) == ([], 0)


def test_how_ray_is_started(ray, monkeypatch):
    Connection.to("local").open()
    (given,) = ray.asked
    assert (given["address"], given["include_dashboard"], given["log_to_driver"]) == ("local", False, False)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == os.environ["RAY_DEDUP_LOGS"] == "0"
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    Connection.to("local")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"


@pytest.mark.parametrize(
    ("error", "words"),
    [(ConnectionError("no\nluck"), "no"), (RuntimeError(), "RuntimeError"), (SystemExit(15), "15")],
)
def test_a_cluster_that_is_gone_is_one_line(ray, error, words):
    ray.init_error = error
    line = refusal(Connection.to("10.0.0.1:6379").nodes)
    assert line == f"executor 'ray': no cluster at address=10.0.0.1:6379: {words}"


def test_workers_know_where_our_code_lies_and_nothing_of_what_is_installed(monkeypatch, tmp_path):
    installed = os.path.join(sys.prefix, "lib", "somewhere")
    monkeypatch.setattr(os.path, "isdir", lambda path: "missing" not in path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), installed, str(tmp_path), "/missing"])
    monkeypatch.setenv("SSLBENCH_PLUGINS", "mine")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    environment = environment_of_workers()
    assert environment["PYTHONPATH"] == os.pathsep.join([os.getcwd(), str(tmp_path)])
    assert environment["SSLBENCH_PLUGINS"] == "mine"
    assert "SECRET_TOKEN" not in environment
