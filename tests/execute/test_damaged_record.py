from __future__ import annotations

import sqlite3
from contextlib import closing

from sslbench.execute.events import Warned
from sslbench.execute.request import Request
from sslbench.execute.scheduler import plan_only, run
from sslbench.plan.suite import Overrides


def test_a_cell_whose_record_is_damaged_is_run_again_and_named(tmp_path):
    axes = {"method": ["raw-pixels"], "evaluator": ["knn", "linear-probe"]}
    request = Request(overrides=Overrides(axes, (0,), {}), out=tmp_path / "out")
    first = run(request)
    assert [record.status for record in first.records] == ["done", "done"]
    cell = first.records[0].cell
    with closing(sqlite3.connect(tmp_path / "out/results.sqlite")) as db, db:
        db.execute("UPDATE record SET text = '{' WHERE cell = ?", (cell,))
    planned = [(item.state, item.reason) for item in plan_only(request).planned if item.state != "skipped"]
    assert planned == [("to run", "damaged before"), ("done", "")]
    events = []
    second = run(request, events.append)
    assert [record.metrics for record in second.records] == [record.metrics for record in first.records]
    assert second.trained == 1
    (warning,) = [event.text for event in events if isinstance(event, Warned)]
    assert warning.startswith(f"{tmp_path}/out/results.sqlite: record of cell {cell}: not JSON: ")
    assert warning.endswith("; its cell is to run again")
    assert [item.state for item in plan_only(request).planned if item.state != "skipped"] == ["done", "done"]
