"""What lies in one tar and where: samples of an image and a label each, read header by header, nothing unpacked."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.columns import LABELS
from sslbench_plugins.blocks.images_on_disk.folders import LEFT_BY_SYSTEM, SUFFIXES, is_left_by_system

MEMBER = re.compile(r"((?:.*/|)[^./][^.]*)\.([^/]+)")
"""key and ending, as the library `webdataset` reads them: an ending begins at the first dot of the name"""
CLASS, JSON, NO_LABEL = "cls", "json", "none"
KEYS = (CLASS, *LABELS)
"""of JSON that hold the label, where the user names none"""
LONGEST_LABEL = 64 * 1024
"""bytes of a member that may hold a label"""
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
BLOCK = 512
NAMED = 20
"""problems of a tar that are kept one by one"""
LINKS, TWICE, NO_IMAGE = "links and devices in tars", "members of a name that came before", "samples without an image"
DAMAGED, BAD_LABEL = "tars that are cut short or damaged", "labels that cannot be read"


@dataclass
class TarIndex:
    """The samples with an image of one tar, in its order."""

    names: list[str] = field(default_factory=list)
    """of the images' members"""
    starts: list[int] = field(default_factory=list)
    """bytes before each image"""
    sizes: list[int] = field(default_factory=list)
    """bytes"""
    labels: list[Any] = field(default_factory=list)
    """words, numbers, None where there is none"""
    label_members: list[str] = field(default_factory=list)
    """where labels were found: ``cls``, ``json.label``, ..."""
    counts: dict[str, int] = field(default_factory=dict)
    """why -> members and samples that are left out"""
    problems: list[str] = field(default_factory=list)
    """the first of those that are mistakes, one line each"""

    def add(self, name: str, start: int, size: int, label: Any) -> None:
        """One sample."""
        self.names.append(name)
        self.starts.append(start)
        self.sizes.append(size)
        self.labels.append(label)

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Self:
        """The same again."""
        return cls(**values)


@dataclass
class Sample:
    """What has one key."""

    images: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """ending -> name, start and size of a member"""
    endings: set[str] = field(default_factory=set)
    labels: dict[str, Any] = field(default_factory=dict)
    """where it was found -> label"""


class TarReader:
    """Reads one tar. ``image``, ``label``: the user's, empty where they are to be found."""

    def __init__(self, file: Path, image: str, label: str) -> None:
        self._file, self._image = file, image.lower().removeprefix(".")
        before, dot, key = label.removeprefix(".").partition(f"{JSON}.")
        self._ending, self._path = (f"{before}{JSON}", key.split(".")) if dot else (before.lower(), [])
        self._counts: Counter[str] = Counter()
        self._problems: list[str] = []

    def read(self, most: int | None = None) -> TarIndex:
        """Up to ``most`` samples of it. Raises UserError for a file that is no tar, and for samples of several images
        of which none is named."""
        samples: dict[str, Sample] = {}
        with self._opened() as stream:
            for member in self._members(stream):
                found = MEMBER.fullmatch(member.name)
                if found is None or is_left_by_system(Path(member.name).name):
                    self._counts[LEFT_BY_SYSTEM] += 1
                    continue
                key, ending = found[1].removeprefix("./"), found[2].lower()
                if most is not None and key not in samples and len(samples) == most:
                    break
                self._add(samples.setdefault(key, Sample()), ending, member, stream)
        return self._index(samples)

    def _opened(self) -> BinaryIO:
        try:
            stream = self._file.open("rb")
        except OSError as error:
            raise UserError(f"webdataset: {self._file} cannot be read: {error.strerror}") from None
        start = stream.read(6)
        stream.seek(0)
        kind = next((kind for magic, kind in COMPRESSED.items() if start.startswith(magic)), None)
        if kind:
            stream.close()
            raise UserError(
                f"webdataset: {self._file} is compressed ({kind}); images are read at any place of a tar: decompress it"
            )
        return stream

    def _members(self, stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
        """Files in it. Where it ends too early or is damaged, those before, and a problem."""
        size = stream.seek(0, 2)
        stream.seek(0)
        end = 0
        try:
            with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # else every header is kept
                    if tar.offset <= end or member.offset_data + member.size > size:
                        break
                    end = tar.offset
                    if member.isreg() and not member.issparse():
                        yield member
                    elif not member.isdir():
                        self._counts[LINKS] += 1
        except (tarfile.TarError, ValueError, OverflowError, OSError) as error:
            if not end:
                reason = str(error).partition("\n")[0]
                raise UserError(f"webdataset: {self._file} is no tar that can be read: {reason}") from None
        self._check_end(stream, end, size)

    def _check_end(self, stream: BinaryIO, end: int, size: int) -> None:
        """Whether the blocks of zeros that close a tar, and nothing more, follow its last member."""
        stream.seek(end)
        rest = stream.read(64 * BLOCK)
        if len(rest) < BLOCK:
            self._problem(DAMAGED, f"cut short, after {min(end, size):,} bytes")
        elif any(rest[:BLOCK]):
            self._problem(DAMAGED, f"damaged or cut short, after {end:,} of {size:,} bytes")
        elif any(rest):
            self._problem(DAMAGED, f"goes on after its end, at {end:,} of {size:,} bytes: two tars in one file?")

    def _add(self, sample: Sample, ending: str, member: tarfile.TarInfo, stream: BinaryIO) -> None:
        if ending in sample.endings:
            self._problem(TWICE, f"{member.name} is there twice; the first one is read")
            return
        sample.endings.add(ending)
        if f".{ending.rpartition('.')[2]}" in SUFFIXES or ending == self._image:
            sample.images[ending] = member.name.removeprefix("./"), member.offset_data, member.size
        elif ending == (self._ending or CLASS) or (not self._ending and ending == JSON):
            if member.size > LONGEST_LABEL:
                self._problem(BAD_LABEL, f"{member.name}: {member.size:,} bytes are no label")
                return
            stream.seek(member.offset_data)
            self._add_label(sample, ending, member.name, stream.read(member.size))

    def _add_label(self, sample: Sample, ending: str, name: str, content: bytes) -> None:
        if not (self._path or (not self._ending and ending == JSON)):
            sample.labels[ending] = in_words(content)
            return
        try:
            values = json.loads(content)
        except (ValueError, RecursionError):
            self._problem(BAD_LABEL, f"{name}: it is no JSON")
            return
        where = self._path or next(([key] for key in KEYS if isinstance(values, dict) and key in values), [])
        for key in where:
            values = values.get(key) if isinstance(values, dict) else None
        if isinstance(values, (list, dict)):
            self._problem(BAD_LABEL, f"{name}: its {'.'.join(where)} holds several values, not a label")
        elif where:
            sample.labels[f"{ending}.{'.'.join(where)}"] = values

    def _problem(self, why: str, line: str) -> None:
        self._counts[why] += 1
        if len(self._problems) < NAMED:
            self._problems.append(f"{self._file.name}: {line}")

    def _index(self, samples: dict[str, Sample]) -> TarIndex:
        index = TarIndex()
        found: set[str] = set()
        for key, sample in samples.items():
            image = self._image_of(key, sample)
            if image is None:
                self._counts[NO_IMAGE] += 1
                continue
            place, label = min(sample.labels.items(), default=("", None), key=lambda item: item[0])
            found |= {place} if place else set()
            index.add(*image, label)
        index.label_members, index.counts, index.problems = sorted(found), dict(self._counts), self._problems
        return index

    def _image_of(self, key: str, sample: Sample) -> tuple[str, int, int] | None:
        if self._image:
            return sample.images.get(self._image)
        plain = [ending for ending in sample.images if "." not in ending] or list(sample.images)
        if len(plain) > 1:
            raise UserError(
                f"webdataset: {key} of {self._file.name} has several images: {', '.join(sorted(plain))}; image=ENDING"
                " names one"
            )
        return sample.images[plain[0]] if plain else None


def in_words(content: bytes) -> int | str:
    """The label that a text holds: a number where it is one and written as such."""
    text = content.decode("utf-8", "backslashreplace").strip()
    return int(text) if re.fullmatch(r"0|-?[1-9]\d{0,8}", text, flags=re.ASCII) else text
