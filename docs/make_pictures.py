"""Make the pictures of the documentation: ``python docs/make_pictures.py [DIR]``.

Runs the suite ``quick`` over three seeds into DIR (default: sslbench-results/quick; what is done there is not run
again), writes its report, and takes the upper part of the page into ``docs/pictures/report.png``. Needs the extra
``browser`` and a Chromium (``$CHROMIUM``, else the one on the path, else playwright's own).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1200, 1000
"""of the part of the page that is shown, CSS pixels"""
COLOURS = 128
"""of the palette, which keeps the file small"""
PICTURES = Path(__file__).parent / "pictures"


def sslbench(*arguments: str) -> None:
    """Run the command line. Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "sslbench", *arguments], check=True)


def photograph(page: Path, picture: Path) -> None:
    """The upper part of a page, as a browser shows it in light colours, without what moves."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        size = {"width": WIDTH, "height": HEIGHT}
        tab = browser.new_page(viewport=size, color_scheme="light", reduced_motion="reduce")  # type: ignore[arg-type]
        tab.goto(page.as_uri(), wait_until="networkidle")
        tab.screenshot(path=picture, animations="disabled", clip={"x": 0, "y": 0, **size})
        browser.close()


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
    Image.open(picture).convert("RGB").quantize(COLOURS).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
