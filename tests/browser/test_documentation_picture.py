"""The picture of the documentation shows the answer and two charts of quality against cost, and nothing else."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "docs/make_pictures.py"

pytestmark = pytest.mark.slow


def test_the_picture_has_the_answer_and_the_charts(browser, page_path, tmp_path):
    script = runpy.run_path(str(SCRIPT))
    script["taken_by"](browser, page_path, tmp_path / "report.png")
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.width == round(script["WIDTH"] * script["SCALE"])
        assert 1000 < picture.height < 2500
    tab = browser.new_page(viewport={"width": script["WIDTH"], "height": script["HEIGHT"]})
    tab.goto(page_path.as_uri(), wait_until="networkidle")
    tab.add_style_tag(content=script["SHOWN"])
    assert tab.locator("h2:visible").all_inner_texts() == ["Quality against cost"]
    assert [tab.locator(f"{what}:visible").count() for what in ("header .lead", "table", "select", "figure")] == [
        1,
        0,
        0,
        2,
    ]
    tab.close()


def test_a_page_without_these_charts_is_refused(browser, tmp_path):
    script = runpy.run_path(str(SCRIPT))
    (tmp_path / "page.html").write_text("<main></main>")
    with pytest.raises(ValueError, match=r"page.html: 0 charts would be shown; allowed: 2"):
        script["taken_by"](browser, tmp_path / "page.html", tmp_path / "report.png")
