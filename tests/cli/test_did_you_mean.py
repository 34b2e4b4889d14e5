"""Wherever a word is expected, another one like it is named: one line, exit code 2."""

from __future__ import annotations

import pytest

from sslbench.cli.main import call


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with one result."""
    folder = tmp_path_factory.mktemp("results")
    assert call(f"run -m raw-pixels -e knn --executor inline --out {folder}".split()) == 0
    return str(folder)


MISTAKES = [
    # commands, options, words of options
    ("reslts", "did you mean 'results'?"),
    ("--hlp", "no such option '--hlp'; did you mean '--help'?"),
    ("-q results x", "no such option '-q'; options of a command come after its name"),
    ("run --epoch 3", "no such option '--epoch'; did you mean '--epochs'?"),
    ("plan --no-compil", "did you mean '--no-compile'?"),
    ("recipe x --licens any", "no such option '--licens'; did you mean '--license'?"),
    ("run --format jsn", "'--format': 'jsn'; did you mean 'json'? (allowed: table, markdown, csv, json)"),
    ("run --precision bf15", "did you mean 'bf16'?"),
    ("merge a --prefer newst -o b", "did you mean 'newest'?"),
    ("recipe x --licence comercial", "did you mean 'commercial'?"),
    ("run --device cua", "did you mean 'cuda'?"),
    ("speed --device gpu:cuda", "did you mean 'cuda'?"),
    ("speed --precision fp33", "did you mean 'fp32'?"),
    ("speed --compile compil", "did you mean 'compile'?"),
    ("speed --baseline compile=eagr", "did you mean 'eager'?"),
    ("speed --baseline precison=fp32", "did you mean 'precision'?"),
    ("speed --baseline method.decoder_dept=8", "did you mean 'decoder_depth'?"),
    ("embed digits -m raw-pixels -o x.parqet", "did you mean '.parquet'?"),
    # suites and what is in them
    ("run quik", "did you mean 'quick'?"),
    ("plan augmentations --size smal", "did you mean 'small'?"),
    ("speed mae-speed", "did you mean 'mae-speedup'?"),
    ("suites maskngs", "did you mean 'maskings'?"),
    ("run misspelt.toml", "unknown key 'traning'; did you mean 'training'?"),
    ("run axis.toml", "did you mean 'method'?"),
    # plugins, their parameters, presets and values
    ("run -m simclrr", "did you mean 'simclr'?"),
    ("run -k blok", "did you mean 'block'?"),
    ("run -e kn", "did you mean 'knn'?"),
    ("run --executor worker", "did you mean 'workers'?"),
    ("run --observer tensorbord", "did you mean 'tensorboard'?"),
    ("run --executor slurm:partiton=gpu", "did you mean 'partition'?"),
    ("run -m simclr:temprature=1", "did you mean 'temperature'?"),
    ("run -m simclr:prest=quick", "did you mean 'preset'?"),
    ("run -m simclr:preset=quik", "did you mean 'quick'?"),
    ("run -m simclr:optimizer=adam", "did you mean 'adamw'?"),
    ("embed digits -m raw-pixel -o x.npz", "did you mean 'raw-pixels'?"),
    ("list metods", "did you mean 'method'?"),
    ("show evaluater knn", "did you mean 'evaluator'?"),
    ("show method mea", "did you mean 'mae'?"),
    ("simulate masking-comparitor", "did you mean 'masking-comparator'?"),
    ("simulate momentum-dynamics --set stps=3", "did you mean 'steps'?"),
    # settings
    ("run --set epoch=1", "did you mean 'epochs'?"),
    ("run --set preset=quik", "did you mean 'quick'?"),
    ("run --set precision=fp15", "did you mean 'fp16'?"),
    # what results have
    ("results DIR --where metod=knn", "did you mean 'method'?"),
    ("results DIR --where method=raw-pixel", "did you mean 'raw-pixels'?"),
    ("export DIR --where statu=done -o x", "did you mean 'status'?"),
    ("compare DIR DIR --fail-on knn_top:1%", "did you mean 'knn_top1'?"),
    ("compare DIR DIR --across traning.precision", "did you mean 'training.precision'?"),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_word_that_is_none_gets_the_one_that_may_be_meant(line, words, results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "misspelt.toml").write_text('[traning]\nepochs = 1\n[axes]\nmethod = ["raw-pixels"]\n')
    (tmp_path / "axis.toml").write_text('[axes]\nmethd = ["raw-pixels"]\n')
    assert call([results if word == "DIR" else word for word in line.split()]) == 2
    out, err = capsys.readouterr()
    lines = [text for text in err.splitlines() if "error" in text]
    assert out == ""
    assert any(words in text for text in lines), err


def test_what_is_like_nothing_gets_no_hint(capsys):
    assert call(["run", "--qqqq"]) == 2
    assert capsys.readouterr().err == "sslbench: error: no such option '--qqqq' (see: sslbench run --help)\n"


@pytest.mark.parametrize(("given", "command"), [("run -m", "run"), ("embed x -o", "embed"), ("show method", "show")])
def test_wrong_usage_names_the_command_whose_help_says_more(capsys, given, command):
    assert call(given.split()) == 2
    assert capsys.readouterr().err.endswith(f"(see: sslbench {command} --help)\n")
