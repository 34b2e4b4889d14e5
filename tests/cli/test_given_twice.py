"""Every option is used or refused in words, and what is given twice is a mistake."""

from __future__ import annotations

import pytest

from sslbench.cli.main import call

MINI = "plan -m raw-pixels -d digits -e knn".split()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*MINI, "--out", "a", "--out", "b"), "--out is given twice; it has one value (see: sslbench plan --help)"),
        ((*MINI, "--compile", "--no-compile"), "is given twice; it has one value"),
        ((*MINI, "--fresh", "--fresh"), "--fresh is given twice"),
        ((*MINI, "--out="), "--out is given an empty text; leave it out, or give it a value"),
        ((*MINI, "--set", " "), "--set is given an empty text"),
        (("results", ""), "DIR is given an empty text"),
        ((*MINI, "-m", "raw-pixels"), "--method: 'raw-pixels' is given twice, here and before; name it once"),
        ((*MINI, "--set", "epochs=3", "--epochs", "5"), "--epochs and --set epochs=3 set the same: give one of them"),
        (
            (*MINI, "--set", "training.epochs=3", "--set", "epochs=3"),
            "--set 'epochs=3': 'epochs' is given twice",
        ),
        ((*MINI, "--fresh", "--keep-stale"), "--fresh and --keep-stale: give one of them"),
        ((*MINI, "--executor", "inlin"), "--executor: unknown executor 'inlin'; did you mean 'inline'?"),
        ((*MINI, "--set", "preset=qick"), "--set preset: no plugin of this suite has a preset 'qick'; did you mean"),
        ((*MINI, "--set", "epochs=true"), "command line: training.epochs = True: input should be a valid integer"),
        ((*MINI, "--set", "epochs=1e3"), "command line: training.epochs = 1000.0: input should be a valid integer"),
        ((*MINI, "--set", "temperature=1"), "unknown key 'training.temperature'"),
        ((*MINI, "--seeds", "1_0"), "--seeds '1_0': expected integers separated by commas"),
        (("speed", "--seconds", "0"), "command line: speed.seconds = 0.0: input should be greater than 0"),
        (("speed", "--seconds", "nan"), "command line: speed.seconds = nan: input should be"),
        (("speed", "--batch-size", ","), "--batch-size ',': expected whole numbers above 0"),
        (("speed", "--precision", "fp32,fp32"), "speed.precisions = ['fp32', 'fp32']: each value may be given once"),
        (("speed", "--baseline", "batch_size=true"), "batch_size = 'true': a whole number above 0"),
        (("speed", "--baseline", "precision=fp32", "--baseline", "precision=bf16"), "'precision' is given twice"),
        (
            ("embed", "digits", "-m", "raw-pixels", "-o", "x.npz", "--size", "8"),
            "--size is for a folder of images; of data set 'digits' give the parameter: size=8",
        ),
    ],
)
def test_it_is_one_line_and_exit_code_2(capsys, tmp_path, arguments, words):
    assert call([*arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in " ".join(err.split())
    assert err.count("sslbench: error: ") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_range_of_seeds_and_at_most_so_many_cells_are_planned(capsys):
    assert call([*MINI, "--seeds", "0-4", "--max-cells", "2"]) == 0
    assert "5 to run; 5 pretrainings to run, at most 2 cells now" in capsys.readouterr().out


def test_which_plugins_took_a_preset_is_said(capsys):
    methods = ("-m", "simclr", "-a", "none", "-b", "convnet-small")
    assert call([*MINI, *methods, "--set", "preset=quick"]) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "preset 'quick' is one of method 'simclr'; not of method 'raw-pixels', augmentation 'none'" in err


def test_the_largest_seed_is_a_seed(capsys):
    arguments = "run -m raw-pixels -d digits -e few-label:draws=2 --set train_images=200 --out out".split()
    assert call([*arguments, "--seeds", str(2**63 - 1), "--format", "csv"]) == 0
    assert "few_label_top1@2_mean" in capsys.readouterr().out
