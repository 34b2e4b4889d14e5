"""What is wrong, in words of Python where those of the command line were meant for a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sslbench.errors import SslbenchError

AXES = {
    "data": "dataset",
    "methods": "method",
    "augmentations": "augmentation",
    "maskings": "masking",
    "backbones": "backbone",
    "evaluators": "evaluator",
}
"""keyword of ``run`` -> axis of a suite"""
KEYWORDS = {axis: keyword for keyword, axis in AXES.items()} | {"observer": "observers"}
"""option of the command line -> keyword, where they differ"""


@contextmanager
def in_python() -> Iterator[None]:
    """Errors that pass name keywords in the place of options, and do not show how they came about."""
    try:
        yield
    except SslbenchError as error:
        raise type(error)(*map(keywords_for_options, error.messages)) from None


def keywords_for_options(text: str) -> str:
    """``--set epochs`` is ``epochs``, ``--method`` is ``methods``, ``--keep-stale`` is ``keep_stale=True``."""
    text = text.removeprefix("-o ")
    text = re.sub(r"command line: training\.|--set:? (?:training\.)?", "", text)
    return re.sub(r"(?<![\w-])--([a-z][a-z-]*)( [\d'])?", keyword_of, text)


def keyword_of(option: re.Match[str]) -> str:
    """Of one option, which may have a value after it."""
    name = KEYWORDS.get(option[1], option[1].replace("-", "_"))
    flag = name in ("fresh", "keep_stale", "download", "trust", "strict_plugins", "detach")
    return f"{name}{'=True' if flag else ''}{option[2] or ''}"
