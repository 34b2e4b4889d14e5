"""The page of results in a browser: what it asks for, how it reacts, and that it needs no scripts to be read."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.slow

DRAWN = "document.querySelectorAll('.chart.vega-embed svg').length === document.querySelectorAll('.chart').length"
FAINT = "[...document.querySelectorAll('#{} .role-mark path')].filter(p => p.getAttribute('opacity') < 0.3).length"
CUT = """[...document.querySelectorAll('.chart')].flatMap(chart => {
  const place = chart.getBoundingClientRect(), words = [...chart.querySelectorAll('text')];
  const box = word => word.getBoundingClientRect();
  return words.filter(w => box(w).right > place.right + 2 || box(w).left < place.left - 2).map(w => w.textContent);
})"""
"""words that are not within their chart"""


@contextmanager
def opened(browser, path, width=1600, scheme="light", scripts=True):
    """The page, and whatever it should not do: requests, messages, errors, dialogs."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    page = context.new_page()
    page.faults = []
    page.on("console", lambda message: page.faults.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("dialog", lambda dialog: page.faults.append(dialog.message) or dialog.dismiss())
    page.on(
        "request", lambda request: None if request.url[:5] in ("file:", "data:") else page.faults.append(request.url)
    )
    page.goto(path.as_uri())
    if scripts:
        page.wait_for_function(DRAWN)
    yield page
    assert page.faults == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_it_fits_and_everybody_can_read_it(browser, page_path, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, page_path, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT) == []
        page.evaluate("document.querySelectorAll('details').forEach(item => (item.open = true))")
        violations = Axe().run(page).response["violations"]
        serious = [v for v in violations if v["impact"] in ("serious", "critical")]
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in serious] == []


def test_a_filter_drives_the_tables_and_the_charts(browser, page_path):
    with opened(browser, page_path) as page:
        rows = page.locator("#r1-table tbody tr:visible")
        marks = page.locator("#r1-pairs-1 .mark-symbol.role-mark path")
        before = rows.count(), marks.count()
        page.select_option("#only-method", "mae")
        page.wait_for_function(
            f"document.querySelectorAll('#r1-pairs-1 .mark-symbol.role-mark path').length < {before[1]}"
        )
        assert before == (7, 5)
        assert (rows.count(), marks.count()) == (3, 2)
        assert "mae" in rows.first.inner_text()
        page.select_option("#only-method", "")
        page.wait_for_function(
            f"document.querySelectorAll('#r1-pairs-1 .mark-symbol.role-mark path').length === {before[1]}"
        )
        assert rows.count() == before[0]


def test_a_click_on_a_mark_points_its_recipe_out_everywhere(browser, page_path):
    with opened(browser, page_path) as page:
        assert page.evaluate(FAINT.format("r1-cost-1")) == 0
        page.locator("#r1-pairs-1 .mark-symbol.role-mark path").first.click()
        page.wait_for_function(f"{FAINT.format('r1-cost-1')} > 0")
        assert page.input_value("#pick") != ""
        assert page.locator("#r1-table tr.picked").count() == 1
        page.select_option("#pick", "")
        page.wait_for_function(f"{FAINT.format('r1-cost-1')} === 0")


def test_a_pointer_over_a_mark_reads_it_out_with_the_picture_of_a_map(browser, page_path):
    with opened(browser, page_path) as page:
        page.locator("#r1-seeds-1 .mark-symbol.role-mark path").first.hover()
        page.wait_for_selector("#vg-tooltip-element.visible")
        assert "seed" in page.locator("#vg-tooltip-element").inner_text()
        page.locator("#r1-pictures-1 .mark-symbol.role-mark path").first.hover()
        page.wait_for_selector("#vg-tooltip-element.visible img")
        assert page.locator("#vg-tooltip-element img").get_attribute("src").startswith("data:image/png;base64,")
        assert "class " in page.locator("#vg-tooltip-element").inner_text()


def test_a_table_is_sorted_by_key_and_pointer(browser, page_path):
    with opened(browser, page_path) as page:
        button = page.locator("#r1-table th button", has_text="knn_top1")
        column = page.locator("#r1-table tbody td.number:nth-child(3)")
        button.focus()
        page.keyboard.press("Enter")
        numbers = [float(re.search(r"[.\d]+", text)[0]) for text in column.all_inner_texts()]
        assert numbers == sorted(numbers, reverse=True)
        button.click()
        numbers = [float(re.search(r"[.\d]+", text)[0]) for text in column.all_inner_texts()]
        assert numbers == sorted(numbers)
        assert page.locator("#r1-table th", has_text="knn_top1").get_attribute("aria-sort") == "ascending"


def test_it_is_whole_without_scripts(browser, page_path):
    with opened(browser, page_path, 800, scripts=False) as page:
        assert page.locator(".chart svg:visible").count() == page.locator(".chart").count() > 8
        assert page.locator("table:visible").count() == page.locator("table").count() > 5
        assert not page.locator("#filters").is_visible()
        assert page.locator("th button").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 800


def test_it_is_printed_whole(browser, page_path):
    with opened(browser, page_path, 800, "dark") as page:
        pdf = page.pdf(format="A4", print_background=True)
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert not page.locator("nav").is_visible()
        assert page.locator("details[open]").count() == page.locator("details").count() > 2
    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 30


def test_names_of_others_run_nothing(browser, pages, records_of):
    name = "</script><img src=x onerror=alert(1)><script>alert(2)</script>"
    with opened(browser, pages(records_of((name, "mae"), ("convnet-small",), 2))) as page:
        assert page.locator("#r1-table th", has_text="onerror").count() > 0
        page.locator("#r1-pairs-1 .mark-symbol.role-mark path").first.hover()
        page.wait_for_selector("#vg-tooltip-element.visible")
        assert page.locator("img").count() == 0


def test_a_thousand_recipes_open(browser, pages, thousand):
    path = pages(thousand)
    assert path.stat().st_size < 2_500_000
    with opened(browser, path) as page:
        assert page.locator("#r1-table tbody tr").count() == 1001
        assert page.evaluate("document.querySelectorAll('*').length") < 40_000


def test_two_folders_are_compared(browser, pages, records_of):
    first, second = (records_of(("simclr", "mae"), ("convnet-small",), seeds) for seeds in (2, 3))
    with opened(browser, pages(first, second)) as page:
        assert page.locator("h2").all_inner_texts()[0] == "Compared"
        assert page.locator("#c1-changes .chart svg").count() > 0
        table = page.locator("#c1-changes table").first
        assert not table.is_visible()
        page.locator("#c1-changes summary").first.click()
        assert "tie" in table.inner_text()


@pytest.mark.parametrize("width", [400, 1600])
def test_a_page_of_speeds_is_drawn_and_fits(browser, page_of_speeds, width):
    with opened(browser, page_of_speeds, width, "dark") as page:
        assert page.locator(".chart svg").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert "2.00 times as fast (95% interval 1.80 to 2.20)" in page.locator("header").inner_text()
