"""One self-contained page: the facts as tables and lists, and every picture with its sentence."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from sslbench.draw.canvas import png_of
from sslbench.look.data import ClassCount
from sslbench.look.look import Look
from sslbench.look.text import blocks
from sslbench.report.data_facts import in_words

CLASSES = 50
"""classes that are shown at once; the others are folded away"""


def page(found: Look, made_by: str) -> str:
    """HTML without a script, a request or a file beside it."""
    loader = ChoiceLoader([PackageLoader("sslbench.look", ""), PackageLoader("sslbench.report", "html")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    classes = sorted(found.classes, key=lambda count: -(count.train + count.test))
    most = max((count.train + count.test for count in classes), default=1) or 1
    rows = [class_row(count, most) for count in classes]
    pictures = [picture for picture in found.pictures if picture.name != "classes"]
    return environment.get_template("look.html.jinja").render(
        made_by=made_by,
        data=found.data,
        title=in_words(found.data, found.facts),
        rows=rows[:CLASSES],
        more_rows=rows[CLASSES:],
        blocks=blocks(found),
        pictures=[
            {
                "id": picture.name,
                "name": title_of(picture.name),
                "caption": picture.caption,
                "source": f"data:image/png;base64,{b64encode(png_of(picture.image)).decode()}",
                "height": picture.image.shape[-2],
                "width": picture.image.shape[-1],
            }
            for picture in pictures
        ],
    )


def title_of(name: str) -> str:
    """``Odd files``, ``Views: moco-v2``."""
    what, dash, plugin = name.partition("-")
    return (
        f"{what.capitalize()}: {plugin}" if what in ("views", "masks") and dash else name.replace("-", " ").capitalize()
    )


def class_row(count: ClassCount, most: int) -> dict[str, Any]:
    """Name and numbers of a class, and the lengths of its bars in percent of the largest."""
    shares = {f"{split}_share": round(100 * getattr(count, split) / most, 2) for split in ("train", "test")}
    return {**vars(count), **shares}
