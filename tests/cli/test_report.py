"""``sslbench report`` on the command line."""

from __future__ import annotations

import pytest

from sslbench.cli.main import call
from sslbench.store.record import MetricValue, Record
from sslbench.store.results import ResultsStore


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "r"
    with ResultsStore.open_for_writing(folder) as store:
        for method, value in (("simclr", 0.9), ("mae", 0.8)):
            params = {"training": {}, "method": {}, "evaluator": {}}
            record = Record(method, "done", method, 0, evaluator="knn", dataset="digits", params=params)
            metrics = {"knn_top1": MetricValue(value)}
            record = Record.from_json({**record.to_json(), "metrics": {k: v.to_json() for k, v in metrics.items()}})
            store.put(record, suite="quick", description=method, inputs={})
    return folder


def test_the_path_of_the_page_is_the_result_and_lies_in_the_folder_by_default(folder, capsys):
    assert call(["report", str(folder)]) == 0
    assert capsys.readouterr() == (f"{folder}/report.html\n", "")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "simclr" in page
    assert call(["report", str(folder), "-o", str(folder / "other.html")]) == 0
    assert (folder / "other.html").read_text(encoding="utf-8") == page


def test_damage_is_a_warning(folder, capsys):
    with ResultsStore.open_for_writing(folder) as store:
        store._db.execute("UPDATE record SET text = '{' WHERE cell = 'mae'")
    assert call(["report", str(folder)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sslbench: warning: ")
    assert line.endswith("it is left out")
    assert "record of cell mae" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: no such folder; name the folder that `sslbench run` wrote to (--out)"),
        (("{folder}", "-o", "page.pdf"), "-o page.pdf: a report is an HTML file: its name ends in .html"),
        (("{folder}", "-o", "nowhere/page.html"), "-o nowhere/page.html: there is no folder nowhere"),
        (("{folder}", "{folder}"), "r is given twice"),
        ((), "Missing argument 'DIR...'"),
    ],
)
def test_a_mistake_is_one_line(folder, arguments, message, capsys):
    assert call(["report", *(text.format(folder=folder) for text in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
