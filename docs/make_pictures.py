"""Make the pictures of the documentation: ``python docs/make_pictures.py [DIR]``.

Runs the suite ``quick`` over three seeds into DIR (default: sslbench-results/quick; what is done there is not run
again, and a DIR that is there is not run at all), writes its report, and takes two parts of the page into
``docs/pictures/report.png``: the answer, and the charts of quality against cost. What lies between them is left out.
The picture shows images a second: nothing else may run beside the suite. Needs the extra ``browser`` and a Chromium
(``$CHROMIUM``, else the one on the path, else playwright's own).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect

WIDTH, HEIGHT = 1000, 700
"""of the page, CSS pixels; GitHub shows a picture about 830 wide. The height is that of what is shown"""
SCALE, MARGIN = 1.66, 32
"""pixels of the picture to one of these, and how many of these are below the charts"""
COLOURS = 128
"""of the palette, which keeps the file small"""
CHARTS = 2
"""that are shown"""
SHOWN = f"""
nav, form, footer, main > :not([id$="-cost"]), [id$="-cost"] > :not(h2, .intro, .charts), .toolbar,
[id$="-cost"] figure:nth-of-type(n + {CHARTS + 1}) {{ display: none !important; }}
"""
"""style sheet that leaves the answer and these charts"""
PICTURES = Path(__file__).parent / "pictures"


def sslbench(*arguments: str) -> None:
    """Run the command line. Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "sslbench", *arguments], check=True)


def photograph(page: Path, picture: Path) -> None:
    """What ``SHOWN`` leaves of a page."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        taken_by(browser, page, picture)
        browser.close()


def taken_by(browser: Browser, page: Path, picture: Path) -> None:
    """The page in light colours, without what moves. Raises ValueError for one that has not these charts."""
    tab = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT},
        device_scale_factor=SCALE,
        color_scheme="light",
        reduced_motion="reduce",
    )
    tab.goto(page.as_uri(), wait_until="networkidle")
    tab.add_style_tag(content=SHOWN)
    charts = tab.locator("figure:visible")
    box = charts.last.bounding_box() if charts.count() == CHARTS else None
    if box is None:
        raise ValueError(f"{page}: {charts.count()} charts would be shown; allowed: {CHARTS}")
    bottom = box["y"] + box["height"] + MARGIN
    clip: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": bottom}
    tab.screenshot(path=picture, animations="disabled", full_page=True, clip=clip)
    tab.close()


def main() -> None:
    """Run, report, take the picture."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "sslbench-results/quick"
    picture = PICTURES / "report.png"
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        if len(sys.argv) < 2 or not Path(folder).exists():
            sslbench("run", "--seeds", "0-2", "--out", folder)
        sslbench("report", folder, "-o", str(page))
        photograph(page, picture)
    Image.open(picture).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        picture, optimize=True
    )
    print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
