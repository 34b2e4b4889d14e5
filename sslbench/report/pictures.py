"""Every picture of some records as files that a reader finds by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sslbench.errors import UserError
from sslbench.report.rows import EvaluatorKeys, Row, assigned, differing, distinguishing, gather
from sslbench.store.artifacts import pretraining_files
from sslbench.store.atomic import write_atomically
from sslbench.store.digests import DamagedFile, read_json, write_json
from sslbench.store.pictures import OF_PRETRAINING, StoredPicture, digest_of, read_pictures
from sslbench.store.record import Record

INDEX = "pictures.json"
"""lists what was exported into a folder, with captions and digests"""
KINDS = ("method", "augmentation", "masking", "backbone", "dataset")
LONGEST = 180
"""bytes of a file's name before its ending"""


@dataclass
class Export:
    """What was written, and what could not be read."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    """a line for each set of pictures that was left out"""


def export_pictures(records: Sequence[Record], folder: Path, target: Path) -> Export:
    """Write every picture of the records of a results folder into ``target``, and a list of them with their captions.
    What an earlier export wrote there is replaced. Raises UserError where something else is in the way, OSError."""
    export = Export(target)
    found = list(named_pictures(records, folder, export.damaged))
    if not found:
        return export
    check_room(target, [name for name, _ in found])
    for path in exported(target):
        if path.name != INDEX:
            path.unlink(missing_ok=True)
    # The list comes before the files: an export that was interrupted knows its own when it is done again.
    rows = [{"file": name, "caption": p.caption, "digest": digest_of(p.png)} for name, p in found]
    write_json(target / INDEX, {"pictures": rows}, indent=1)
    for name, picture in found:
        write_atomically(target / name, picture.png)
        export.files.append(target / name)
    return export


def named_pictures(records: Sequence[Record], folder: Path, damaged: list[str]) -> Iterator[tuple[str, StoredPicture]]:
    """A file name of its own for each picture: recipe, seed, evaluator and name; those of a pretraining once."""
    taken: set[str] = set()
    for key, owner, words in owners(records):
        try:
            pictures = read_pictures(pretraining_files(folder, key).pictures(owner))
        except DamagedFile as error:
            damaged.append(str(error))
            continue
        for picture in pictures:
            yield unused(file_name([*words, picture.name]), taken), picture


def owners(records: Sequence[Record]) -> Iterator[tuple[str, str, list[str]]]:
    """Pretraining, owner and words of each set of pictures that there may be."""
    rows, _ = gather(records)
    names = recipe_names(rows)
    evaluators = evaluator_names(records)
    seen: set[str] = set()
    for row, name in zip(rows, names, strict=True):
        for record in row.records:
            key = record.pretraining.key if record.pretraining else None
            if not key:
                continue
            words = [name, f"seed{record.seed}"]
            yield key, record.cell, [*words, evaluators[record.cell]]
            if key not in seen:
                seen.add(key)
                yield key, OF_PRETRAINING, words


def recipe_names(rows: Sequence[Row]) -> list[str]:
    """The method of each row, and whatever tells rows apart."""
    parameters = distinguishing(rows)
    described = [
        {kind: row.described(kind, parameters[kind, row.name(kind)], with_ratio=True) for kind in KINDS} for row in rows
    ]
    varying = [kind for kind in KINDS if kind == "method" or len({words[kind] for words in described}) > 1]
    return ["-".join(words[kind] for kind in varying if words[kind]) for words in described]


def evaluator_names(records: Iterable[Record]) -> dict[str, str]:
    """Cell -> its evaluator, with the parameters that tell evaluators of one name apart."""
    records, key = list(records), EvaluatorKeys()
    settings: dict[str | None, dict[str, dict[str, object]]] = {}
    for record in records:
        settings.setdefault(record.evaluator, {})[key(record)] = dict(record.params.get("evaluator", {}))
    told = {name: differing(list(own.values())) for name, own in settings.items()}
    return {
        record.cell: " ".join(
            filter(None, [record.evaluator, assigned(record.params.get("evaluator", {}), told[record.evaluator])])
        )
        for record in records
    }


def file_name(words: Iterable[str]) -> str:
    """Letters, digits and a few signs that no file system minds."""
    clean = [re.sub(r"[^\w.=+-]+", "-", word).strip("-.") for word in words]
    whole = "_".join(filter(None, clean)).encode("utf-8", "surrogateescape")
    return whole[-LONGEST:].decode("utf-8", "ignore").lstrip("-._")


def unused(name: str, taken: set[str]) -> str:
    """The name with its ending, and a number where another picture has it (in either case of letters)."""
    number, made = 1, f"{name}.png"
    while made.casefold() in taken:
        number += 1
        made = f"{name}-{number}.png"
    taken.add(made.casefold())
    return made


def check_room(target: Path, names: Iterable[str]) -> None:
    """Raises UserError where files of somebody else would be overwritten."""
    if target.exists() and not target.is_dir():
        raise UserError(f"--pictures {str(target)!r}: a file; allowed: a folder, or a name that nothing has yet")
    own = {path.name for path in exported(target)}
    foreign = [name for name in (*names, INDEX) if name not in own and (target / name).exists()]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise UserError(
            f"{target / foreign[0]}{more}: not as an export left it, and would be overwritten; move it away, or give"
            " --pictures another folder"
        )


def exported(target: Path) -> list[Path]:
    """What an earlier export left in a folder and nobody changed, the list included; nothing without a whole list."""
    try:
        rows = read_json(target / INDEX)["pictures"]
        files = [(target / row["file"], row["digest"]) for row in rows if Path(row["file"]).name == row["file"]]
    except (OSError, DamagedFile, KeyError, TypeError):
        return []
    same = [path for path, digest in files if path.is_file() and digest_of(path.read_bytes()) == digest]
    return [*same, target / INDEX]
