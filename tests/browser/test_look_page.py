"""The page of ``sslbench look`` in a browser: it fits, everybody can read it, it asks for nothing, and it prints."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sslbench.hooks.registry import default_registry
from sslbench.look.look import look
from sslbench.look.wanted import LookRequest
from sslbench.look.written import write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def look_page(tmp_path_factory):
    """Of a folder with odd files, a class with a long name, and more classes than are shown at once."""
    folder = tmp_path_factory.mktemp("look")
    for number in range(55):
        name = "a-class-with-a-name-that-is-longer-than-a-phone-is-wide" if number == 0 else f"class {number}"
        (folder / "photos" / name).mkdir(parents=True)
        for image in range(2):
            pixels = np.random.default_rng(2 * number + image).integers(0, 255, (20, 90 if number == 1 else 24, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / name / f"{image}.png")
    found = look(LookRequest(str(folder / "photos"), ("simclr", "dino"), ("random", "block")), default_registry())
    write(found, folder / "look.html")
    return folder / "look.html"


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1600, "dark")])
def test_it_fits_and_everybody_can_read_it(browser, look_page, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    faults = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: None if request.url[:5] in ("file:", "data:") else faults.append(request.url))
    page.goto(look_page.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(item => (item.open = true))")
    assert Axe().run(page).response["violations"] == []
    assert page.locator("tbody tr").count() == 55
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert faults == []
    page.close()


def test_it_prints(browser, look_page):
    page = browser.new_page(java_script_enabled=False)
    page.goto(look_page.as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
