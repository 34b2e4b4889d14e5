"""Which tars there are, and of which split: a folder of them, one, or a pattern of numbers in braces."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.split_files import SplitFiles, by_split, split_files

ENDING = ".tar"
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)", flags=re.ASCII)
MOST = 1_000_000
"""files that a pattern may name"""


def shards(path: str) -> SplitFiles:
    """Tars by their split. Raises UserError where there are none, and where one that a pattern names is missing."""
    folder = Path(os.path.expanduser(path))
    if not BRACES.search(path) or os.path.exists(folder):
        return split_files(folder, "webdataset", ENDING, "a tar")
    files = [Path(name) for name in expanded(path)]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(
            f"webdataset: {len(missing)} of {len(files)} tars of {path} are not there, such as {missing[0]}"
        )
    root = Path(os.path.commonpath([file.parent for file in files]))
    return replace(by_split(root, files, "webdataset", ENDING), named=True)


def expanded(pattern: str) -> list[str]:
    """``x-{00..02}.tar`` and ``{a,b}.tar`` as the names that they stand for. Raises UserError for too many of them."""
    parts = BRACES.split(pattern)
    choices = [[part] if place % 2 == 0 else alternatives(part, pattern) for place, part in enumerate(parts)]
    count = 1
    for some in choices:
        count *= len(some)
    if count > MOST:
        raise UserError(f"webdataset: {pattern} names {count:,} tars; at most {MOST:,} are read")
    return ["".join(some) for some in product(*choices)]


def alternatives(inside: str, pattern: str) -> list[str]:
    """What stands between braces: a range of numbers, of as many digits as the first, or words between commas."""
    found = RANGE.fullmatch(inside)
    if found is None:
        return inside.split(",")
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + MOST:
        raise UserError(f"webdataset: {pattern}: {{{inside}}} is no range of numbers, the smaller first")
    return [str(number).zfill(len(found[1])) for number in range(first, last + 1)]
