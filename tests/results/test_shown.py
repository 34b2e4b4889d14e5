"""Charts, pictures and the report of results."""

from __future__ import annotations

import base64
import re
import shutil

import pytest
import torch

import sslbench
from sslbench import UserError
from sslbench.contracts.evaluator import Picture
from sslbench.evaluate.run import save_pictures
from sslbench.results.pictures import Pictures
from sslbench.results.results import PLOTS
from sslbench.store.artifacts import pretraining_files
from sslbench.store.record import Record


@pytest.mark.parametrize("kind", PLOTS)
def test_every_kind_of_chart_is_one_of_altair(results, kind):
    assert results.plot(kind).to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


def test_a_kind_of_chart_that_is_not_there_or_has_nothing_to_draw_is_named(results):
    with pytest.raises(UserError, match=r"^kind 'heatmap'; did you mean 'heat-map'\? \(allowed: seeds, quality, "):
        results.plot("heatmap")
    record = Record("c", "done", "raw-pixels", 0, dataset="digits", evaluator="knn", params={"training": {}})
    with pytest.raises(
        UserError, match="^kind 'curves': these results have nothing to draw of this kind; nor of any other$"
    ):
        sslbench.Results([record]).plot("curves")
    with pytest.raises(UserError, match=r"^kind 'curves': .* there is something of: seeds$"):
        sslbench.Results([r for r in results.records if r.method == "raw-pixels"]).plot("curves")


def test_pictures_of_a_row_are_shown_in_a_notebook(results, tmp_path):
    folder = shutil.copytree(results.folder, tmp_path / "copy")
    record = next(r for r in results.records if (r.method, r.seed) == ("raw-pixels", 0))
    files = pretraining_files(folder, record.pretraining.key)
    grey = torch.full((3, 4, 5), 128, dtype=torch.uint8)
    save_pictures(files, record.cell, [Picture("neighbours", grey, 'nearest < "farthest"')])
    save_pictures(files, None, [Picture("views", grey, "eight views")])
    loaded = sslbench.load(folder)
    pictures = loaded.pictures("raw-pixels")
    assert [picture.name for picture in pictures] == ["neighbours", "views"]
    assert repr(pictures) == 'neighbours: nearest < "farthest"\nviews: eight views'
    html = pictures._repr_html_()
    assert 'alt="nearest &lt; &quot;farthest&quot;"' in html
    assert base64.b64decode(re.findall('base64,(.*?)"', html)[0]) == pictures[0].png
    assert Pictures()._repr_html_() == "<p>no pictures are kept</p>"
    next(files.pictures(record.cell).glob("*.png")).write_bytes(b"other")
    with pytest.raises(UserError, match="neighbours.png"):
        loaded.pictures("raw-pixels")


def test_the_report_is_written_beside_the_results_or_where_it_is_asked_for(results, tmp_path):
    page = results.report(tmp_path / "page.html")
    assert page == tmp_path / "page.html"
    assert results.answer().split(":")[0].split(",")[0] in page.read_text()
    copy = sslbench.load(shutil.copytree(results.folder, tmp_path / "copy"))
    assert copy.report() == tmp_path / "copy" / "report.html"
    with pytest.raises(UserError, match=r"^.*page\.txt: a report is an HTML file: its name ends in \.html$"):
        results.report(tmp_path / "page.txt")
