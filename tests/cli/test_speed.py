from __future__ import annotations

import json

import pytest

from sslbench.cli.main import call
from sslbench.measure.ceilings import Ceilings

TINY = (
    *("-m", "mae:decoder_dim=16,decoder_depth=1,decoder_heads=2", "-b", "vit-tiny-small-image:dim=16,depth=1,heads=2"),
    *("-k", "random:ratio=0.75", "--image-size", "8", "--batch-size", "4", "--steps", "10"),
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chip = Ceilings("chip", 1, "2.14", {"fp32": 1e11}, 1e10, "2026-01-01T00:00:00+00:00", False)
    monkeypatch.setattr("sslbench.speed.run.ceilings", lambda device, processor, report: chip)
    # What is printed is tested, not how well it is timed.
    monkeypatch.setattr("sslbench.measure.comparison.SLOT_MS", 0.0)


def output_of(capsys, *arguments):
    code = call(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_default_suite_with_a_tiny_model(capsys):
    code, out, err = output_of(capsys, "speed", *TINY, "--device", "cpu")
    assert code == 0
    assert out.startswith("mae-speedup: 8 px · cpu · batch 4 · fp32")
    for words in ("like for like", "as in the paper's table", "FLOP bound", "img/s", "48/64"):
        assert words in out, words
    assert "results: sslbench-results/mae-speedup" in err
    # The suite's own words on what it leaves out are about its own axes.
    assert "left out" not in err
    code, again, _ = output_of(capsys, "results", "sslbench-results/mae-speedup")
    assert (code, again) == (0, out)
    records = json.loads(output_of(capsys, "results", "sslbench-results/mae-speedup", "--format", "json")[1])["records"]
    assert [record["kind"] for record in records] == ["speed"] * 3


def test_results_of_runs_and_speeds_in_one_folder_are_two_tables(capsys):
    output_of(capsys, "speed", *TINY, "--out", "both")
    output_of(capsys, "run", "-m", "raw-pixels", "-e", "knn", "--out", "both")
    out = output_of(capsys, "results", "both")[1]
    assert "knn_top1" in out
    assert "FLOP bound" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mae-sped",), "unknown suite 'mae-sped'; did you mean 'mae-speedup'?"),
        (("-m", "simclrr"), "--method: unknown method 'simclrr'; did you mean 'simclr'?"),
        (("--batch-size", "8,x"), "--batch-size 'x': expected whole numbers above 0"),
        (("--batch-size", "0"), "--batch-size '0': expected whole numbers above 0"),
        (("--precision", "fp64"), "speed.precisions.0 = 'fp64'"),
        (("--compile", "fast"), "speed.compile.0 = 'fast'"),
        (("--baseline", "precision"), "--baseline 'precision' is not KEY=VALUE"),
        (("--baseline", "precison=fp32"), "nothing is called 'precison'; did you mean 'precision'?"),
        (("--device", "gpu"), "--device 'gpu': allowed are auto, cpu, cuda and cuda:N"),
        (("--steps", "2"), "'2': expected a whole number, 10 or larger"),
        (("-e", "knn"), "no such option '-e'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, tmp_path, arguments, words):
    code, out, err = output_of(capsys, "speed", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "sslbench-results").exists()


def test_a_baseline_of_ones_own(capsys):
    code, out, _ = output_of(capsys, "speed", *TINY, "--precision", "fp32,bf16", "--baseline", "precision=fp32")
    assert code == 0
    assert "precision=fp32" in out
    assert "bf16" in out


def test_several_changes_make_one_baseline(capsys):
    code, out, _ = output_of(
        capsys,
        "speed",
        *TINY,
        "--baseline",
        "masking.ratio=0.5",
        "--baseline",
        "method.decoder_depth=2",
        "--format",
        "json",
    )
    records = json.loads(out)["records"]
    assert code == 0
    assert [(r["mask_ratio"], r["params"]["method"]["decoder_depth"]) for r in records] == [(0.5, 2), (0.75, 1)]
