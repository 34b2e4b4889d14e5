"""What is wrong, in words of Python where those of the command line were meant for a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import SslbenchError
from sslbench.execute.request import Request

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
OPTIONS = frozenset(field.name for field in fields(Request)) - {"suite", "overrides"}
"""keywords that say how to run, each a field of ``Request``"""
KNOWN = {"seeds", *KEYWORDS, *KEYWORDS.values(), *OPTIONS, *TrainingSettings.model_fields}
FLAGS = ("fresh", "keep_stale", "download", "trust", "strict_plugins", "detach")
"""are True where a shell names them"""
VALUE = r"""'[^']*'|"[^"]*"|-?\d(?:[\d.,-]*\d)?|auto|cpu|cuda(?::\d+)?|[bft][fp]\d\d|[A-Z]+\b"""
"""of an option, or a word that stands for one"""
OPTION = rf"(?<![\w-])--([a-z][a-z-]*)(?: ({VALUE}))?"
COMMAND = r"(sslbench [a-z]+ [^;)`]*)"
REPLACED = {
    "best epochs of curves (--details has all)": "best epochs of curves (table() and curves() have all)",
    " more (--details has all)": " more (.records has all)",
    "--details has all": "table() has all",
    "--format json": ".records",
    "--format csv": "table()",
    "--superseded": "sslbench results DIR --superseded",
    "--pairs has the numbers": "pairs() has the numbers",
    "sslbench run --fresh makes it again": "run(..., fresh=True) makes it again",
}
"""what is not said with keywords"""


@contextmanager
def in_python() -> Iterator[None]:
    """Errors that pass name keywords in the place of options, and do not show how they came about."""
    try:
        yield
    except SslbenchError as error:
        raise type(error)(*map(keywords_for_options, error.messages)) from None


def keywords_for_options(text: str) -> str:
    """``--set epochs`` is ``epochs``, ``--seeds 0-4`` is ``seeds="0-4"``, ``--keep-stale`` is ``keep_stale=True``; a
    command that is written whole stays."""
    for words, own in REPLACED.items():
        text = text.replace(words, own)
    parts = re.split(COMMAND, text.removeprefix("-o "))
    return "".join(part if place % 2 else without_options(part) for place, part in enumerate(parts))


def without_options(text: str) -> str:
    """Keywords in the place of options."""
    text = re.sub(r"command line: training\.|--set:? (?:training\.)?", "", text)
    return re.sub(OPTION, keyword_of, text)


def keyword_of(option: re.Match[str]) -> str:
    """Of one option, which may have a value after it."""
    name = KEYWORDS.get(option[1], option[1].replace("-", "_"))
    if name not in KNOWN:
        return option[0]
    if name in FLAGS:
        return f"{name}=True" + (f" {option[2]}" if option[2] else "")
    if option[2] is None:
        return name
    plain = option[2][0] in "'\"" or option[2].isupper() or re.fullmatch(r"-?\d+(\.\d+)?", option[2])
    return f"{name}={option[2]}" if plain else f'{name}="{option[2]}"'
