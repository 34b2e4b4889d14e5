from __future__ import annotations

import json
import re

import pytest

from sslbench.cli.group import COMMANDS
from sslbench.cli.main import call
from sslbench.hooks.catalogue import KINDS
from sslbench.plan.builtin import builtin_suites

MINI = ("-m", "raw-pixels", "-e", "knn")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def output_of(capsys, *arguments):
    """Exit code, stdout, stderr of one command in this process."""
    code = call(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_help_names_every_command(capsys):
    code, out, _ = output_of(capsys, "--help")
    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_the_words_of_the_list(capsys, name):
    code, out, _ = output_of(capsys, name, "--help")
    assert code == 0
    assert out.startswith(f"Usage: sslbench {name}")
    first_words = COMMANDS[name].split()[0]
    assert first_words in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rum",), "no such command 'rum'; did you mean 'run'? (commands: run, plan"),
        (("run", "--metod", "x"), "--metod"),
        (("run", "quik"), "unknown suite 'quik'; did you mean 'quick'?"),
        (("run", "-m", "simclrr"), "--method: unknown method 'simclrr'; did you mean 'simclr'?"),
        (("run", "-m", "simclr:temprature=1"), "unknown parameter 'temprature'; did you mean 'temperature'?"),
        (("run", "--set", "epoch=1"), "unknown key 'training.epoch'; did you mean 'epochs'?"),
        (("run", "--set", "epochs"), "--set 'epochs' is not KEY=VALUE"),
        (("run", "--seeds", "a,b"), "--seeds 'a,b': expected integers separated by commas"),
        (("run", "--seeds", "-1"), "seeds are 0 or larger"),
        (("run", "--executor", "cloud"), "unknown executor 'cloud'"),
        (("run", "--device", "gpu"), "--device 'gpu': allowed are auto, cpu, cuda and cuda:N"),
        (("list", "metods"), "unknown kind 'metods'; did you mean 'method'?"),
        (("show", "method", "mea"), "unknown method 'mea'; did you mean 'mae'?"),
        (("results", "nowhere"), "nowhere"),
        (("plan", "-e", "knn:k=0"), "evaluator 'knn': k = 0"),
        (("run", "--size", "tiny"), "quick: unknown size 'tiny' (it has none"),
        (("suites", "quik"), "unknown suite 'quik'; did you mean 'quick'?"),
        (("suites", "mae-sped"), "unknown suite 'mae-sped'; did you mean 'mae-speedup'? (built in: augmentations,"),
        (("run", "mae-speedup"), "unknown suite 'mae-speedup', which is one of `sslbench speed` (built in:"),
        (("speed", "quick"), "unknown suite 'quick', which is one of `sslbench run` (built in: mae-speedup, methods;"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, tmp_path, arguments, words):
    code, out, err = output_of(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert err.startswith("sslbench: error: ")
    assert not (tmp_path / "sslbench-results").exists()


def test_several_mistakes_are_several_lines(capsys):
    code, _, err = output_of(capsys, "run", "-m", "nope", "-e", "nope", "--batch-size", "1")
    assert code == 2
    assert len(err.splitlines()) == 3


def test_cuda_without_a_gpu_is_an_error(capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = output_of(capsys, "run", *MINI, "--device", "cuda")
    assert code == 2
    assert "--device cuda: " in err


def test_list_has_every_kind_in_order_and_json_has_the_fields(capsys):
    code, out, _ = output_of(capsys, "list", "--format", "json")
    assert code == 0
    data = json.loads(out)
    assert data["schema"] == 2
    kinds = [spec["kind"] for spec in data["specs"]]
    assert kinds == sorted(kinds, key=KINDS.index)
    assert set(data["specs"][0]) == {"kind", "name", "summary", "distribution", "version"}
    assert all(spec["summary"] for spec in data["specs"])


def test_list_of_one_kind(capsys):
    _, out, _ = output_of(capsys, "list", "methods")
    assert "simclr" in out
    assert "convnet" not in out


def test_show_names_defaults_units_limits_presets_and_citation(capsys):
    code, out, _ = output_of(capsys, "show", "method", "simclr")
    assert code == 0
    for words in ("temperature", "0.1", "> 0", "epochs", "one of adamw, sgd, lars", "preset quick", "Chen, Kornblith"):
        assert words in out
    data = json.loads(output_of(capsys, "show", "backbone", "timm", "--format", "json")[1])
    name = next(item for item in data["parameters"] if item["name"] == "name")
    assert name["required"] is True


def test_plugins_are_all_ok(capsys):
    code, out, _ = output_of(capsys, "plugins", "--format", "json")
    data = json.loads(out)
    assert code == 0
    assert {row["status"] for row in data["plugins"]} == {"ok"}
    assert "0 failed" in output_of(capsys, "plugins")[1]


def test_doctor_describes_the_machine(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code, out, _ = output_of(capsys, "doctor", "--format", "json")
    data = json.loads(out)
    assert code == (1 if data["problems"] else 0)
    assert data["cores"] >= 1
    assert {"torch", "torchvision", "GPU", "device in use", "memory GiB"} <= set(data)
    assert data["fp32 product GFLOP/s"] > 0
    assert data["memory copy GB/s"] > 0
    assert re.search(r"20\d\d-\d\d-\d\dT", data["measured on"])
    assert "torch" in output_of(capsys, "doctor")[1]


def test_plan_run_plan_and_results_agree(capsys, tmp_path):
    code, out, _ = output_of(capsys, "plan", *MINI, "--format", "json")
    (cell,) = json.loads(out)["cells"]
    assert (code, cell["status"]) == (0, "to run")
    assert not (tmp_path / "sslbench-results").exists()

    code, out, err = output_of(capsys, "run", *MINI, "--format", "json")
    data = json.loads(out)
    (record,) = data["records"]
    assert (code, data["schema"], data["suite"]) == (0, 2, "quick")
    assert (record["cell"], record["status"], record["method"]) == (cell["cell"], "done", "raw-pixels")
    assert "1 done; 1 run now; results: sslbench-results" in err

    assert json.loads(output_of(capsys, "plan", *MINI, "--format", "json")[1])["cells"][0]["status"] == "done"
    code, again, err = output_of(capsys, "run", *MINI, "--format", "json")
    assert (code, json.loads(again)) == (0, data)
    assert "0 run now" in err
    stored = json.loads(output_of(capsys, "results", "sslbench-results/quick", "--format", "json")[1])
    assert stored["records"] == data["records"]
    none = output_of(capsys, "results", "sslbench-results/quick", "--format", "json", "--where", "status=oom")[1]
    assert json.loads(none)["records"] == []


def test_plan_shows_skipped_cells_with_the_reason(capsys):
    code, out, _ = output_of(capsys, "plan", "-m", "mae", "-k", "random", "-b", "convnet-small", "-e", "knn")
    assert code == 0
    assert "skipped" in out
    assert "mae needs a backbone with tokens; convnet-small has none" in out


def test_plan_tells_plugins_of_one_name_apart(capsys):
    masks = ("-k", "random:ratio=0.5", "-k", "random:ratio=0.75", "-k", "block")
    _, out, _ = output_of(capsys, "plan", "-m", "mae", *masks, "-b", "vit-tiny-small-image", "-e", "knn")
    assert [re.search(r"(random|block)( \(\S+\))?", line)[0] for line in out.splitlines() if "to run  " in line] == [
        "random (ratio=0.5)",
        "random (ratio=0.75)",
        "block",
    ]


def test_skipped_cells_are_in_the_result_and_no_failure(capsys):
    arguments = ("-m", "mae", "-m", "raw-pixels", "-k", "random", "-b", "convnet-small", "-e", "knn")
    code, out, _ = output_of(capsys, "run", *arguments, "--format", "json")
    records = json.loads(out)["records"]
    assert code == 0
    assert [(r["method"], r["status"]) for r in records] == [("mae", "skipped"), ("raw-pixels", "done")]


def test_fresh_runs_again_and_max_cells_stops_early(capsys):
    output_of(capsys, "run", *MINI)
    assert "1 run now" in output_of(capsys, "run", *MINI, "--fresh")[2]
    code, _, err = output_of(capsys, "run", *MINI, "-e", "linear-probe", "--max-cells", "0")
    assert code == 0
    assert "0 run now" in err


@pytest.mark.parametrize("format_", ["table", "markdown", "csv"])
def test_every_format_shows_the_row(capsys, format_):
    code, out, _ = output_of(capsys, "run", *MINI, "--format", format_)
    assert code == 0
    assert "raw-pixels" in out


def test_a_diverged_cell_is_exit_code_1_and_others_are_done(capsys):
    methods = ("-m", "simclr:lr=1e30,optimizer=sgd,warmup_epochs=0", "-m", "raw-pixels")
    arguments = (*methods, "-b", "convnet-small:width=4")
    code, out, _ = output_of(capsys, "run", *arguments, "-e", "knn", "--epochs", "1", "--format", "json")
    records = json.loads(out)["records"]
    assert code == 1
    assert [(r["method"], r["status"]) for r in records] == [("simclr", "diverged"), ("raw-pixels", "done")]
    assert [m["value"] for m in records[0]["metrics"].values()] == [None]


def test_results_that_cannot_be_stored_are_printed_and_exit_code_is_3(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = output_of(capsys, "run", *MINI, "--out", "file/below", "--format", "json")
    assert code == 3
    assert json.loads(out)["records"][0]["status"] == "done"
    assert "not stored" in err


def test_two_seeds_have_a_mean_and_a_spread(capsys):
    arguments = ("-m", "random-init", "-b", "convnet-small:width=4", "-e", "knn", "--seeds", "0,1")
    code, out, _ = output_of(capsys, "run", *arguments)
    assert code == 0
    assert "±" in out


def test_a_suite_file_of_ones_own(capsys, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'seeds = [0]\n[axes]\ndataset = ["digits"]\nmethod = ["raw-pixels"]\nevaluator = [{ name = "knn", k = 5 }]\n'
    )
    code, out, _ = output_of(capsys, "run", "mine.toml", "--format", "json")
    data = json.loads(out)
    assert (code, data["suite"]) == (0, "mine")
    assert data["records"][0]["params"]["evaluator"]["k"] == 5
    assert (tmp_path / "sslbench-results/mine").is_dir()


def test_suites_are_listed_with_their_sizes_and_printed_to_be_copied(capsys, tmp_path):
    code, out, _ = output_of(capsys, "suites")
    assert code == 0
    assert all(name in out for name in builtin_suites())
    assert "--size small: " in out
    rows = json.loads(output_of(capsys, "suites", "--format", "json")[1])["suites"]
    assert [row["name"] for row in rows if row["command"] == "run"] == list(builtin_suites())
    assert [row["name"] for row in rows if row["command"] == "speed"] == list(builtin_suites("sslbench.speed"))
    assert all(row["summary"] and row["name"] in out for row in rows)
    assert max(map(len, out.splitlines())) <= 120
    assert output_of(capsys, "suites", "mae-speedup")[1].startswith('name = "mae-speedup"')
    copied = output_of(capsys, "suites", "quick")[1]
    (tmp_path / "mine.toml").write_text(copied)
    assert output_of(capsys, "plan", "mine.toml", *MINI)[0] == 0


@pytest.mark.parametrize("command", ["run", "plan"])
def test_help_names_the_builtin_suites(capsys, command):
    out = output_of(capsys, command, "--help")[1]
    assert all(name in out for name in builtin_suites())


def test_results_print_the_tables_that_are_asked_for(capsys):
    arguments = ("-m", "raw-pixels", "-m", "random-init", "-b", "convnet-small:width=4", "-e", "knn")
    output_of(capsys, "run", *arguments, "--seeds", "0,1")
    code, out, _ = output_of(capsys, "results", "sslbench-results/quick", "--statistics", "--pairs")
    assert code == 0
    assert "95% interval" in out
    assert "paired t over seeds (2)" in out
    data = json.loads(output_of(capsys, "results", "sslbench-results/quick", "--correlations", "--format", "json")[1])
    assert list(data) == ["schema", "suite", "correlations"]
    code, _, err = output_of(capsys, "results", "sslbench-results/quick", "--pairs", "--curves", "--format", "csv")
    assert (code, err) == (2, "sslbench: error: --format csv holds one table; given: --pairs, --curves\n")


def test_a_run_with_a_curve_shows_its_epochs(capsys):
    arguments = "-m simclr -b convnet-small:width=4 -e knn --epochs 3 --set train_images=64".split()
    code, _, _ = output_of(capsys, "run", *arguments)
    assert code == 0
    curve = ("--set", "curve_every=2", "--set", "curve=knn")
    plan = json.loads(output_of(capsys, "plan", *arguments, *curve, "--format", "json")[1])
    assert [(cell["status"], cell["reason"]) for cell in plan["cells"]] == [("stale", "it has no curve")]
    code, out, _ = output_of(capsys, "run", *arguments, *curve, "--details")
    assert code == 0
    assert "best epoch of curve" in out
    out = output_of(capsys, "results", "sslbench-results/quick", "--curves")[1]
    assert "2/3" in out
    assert "3/3" in out
    assert "0 run now" in output_of(capsys, "run", *arguments)[2], "the record with a curve serves a run without one"
