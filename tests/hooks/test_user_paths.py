"""Accounts without a home folder, as in a container that runs as a bare user number."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import sslbench
from sslbench.cli.main import call
from sslbench.errors import UserError
from sslbench.hooks.user_paths import expanded, user_cache

HOMELESS = "import pwd\ndef getpwuid(number): raise KeyError(number)\npwd.getpwuid = getpwuid\n"


@pytest.fixture
def homeless(monkeypatch):
    """Nobody knows this account."""

    def getpwuid(number):
        raise KeyError(number)

    for name in ("HOME", "XDG_CACHE_HOME", "SSLBENCH_CACHE", "SSLBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", getpwuid)


def test_the_cache_is_the_users_else_beside_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert user_cache() == Path("/somewhere/.cache/sslbench")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "sslbench"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/elsewhere")
    assert user_cache() == Path("/somewhere/elsewhere/sslbench")
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert user_cache() == Path("/somewhere/.cache/sslbench")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_cache_is_beside_temporary_files():
    assert user_cache() == Path(tempfile.gettempdir(), f"sslbench-{os.getuid()}")


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("path", ["~/results", "~nobody-of-this-name/results"])
def test_a_home_that_nobody_knows_is_one_line(path):
    with pytest.raises(UserError) as caught:
        expanded(path)
    assert str(caught.value) == f"'{path}': no home folder is known for it; write the path in full, or ./~..."


@pytest.mark.usefixtures("homeless")
def test_no_folder_is_made_that_is_called_after_the_sign(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(["run", "quick", "--out", "~/results"]) == 2
    assert "'~/results': no home folder is known for it" in capsys.readouterr().err
    with pytest.raises(UserError, match="no home folder is known for it"):
        sslbench.load("~/results")
    with pytest.raises(UserError, match="no home folder is known for it"):
        sslbench.run("quick", out="~/results")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("homeless")
def test_a_path_of_data_that_cannot_be_filled_in_is_missing_in_one_line(capsys):
    assert call(["plan", "quick", "-d", "imagefolder:root=~/photos"]) == 2
    assert "~/photos does not exist" in capsys.readouterr().err


@pytest.mark.usefixtures("homeless")
def test_completion_and_doctor_work_without_a_home(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("sslbench.hooks.remembered.remember", lambda: None)  # loads every plugin: tested elsewhere
    assert call(["completion", "bash"]) == 0
    assert call(["doctor"]) == 0


def test_charts_can_be_imported_without_a_home():
    code = f"{HOMELESS}import os\nfrom sslbench.report.charts import panel\nassert 'HOME' not in os.environ\n"
    without = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", code], check=True, env=without)
