"""Images and labels that Hugging Face's `datasets` saved to disk: arrow files, read in place and never fetched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sslbench import BuildContext, DatasetSpec, PathText, UserError, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.folders import digest_of
from sslbench_plugins.blocks.images_on_disk.splits import Role, split_names
from sslbench_plugins.blocks.images_on_disk.table_files import (
    SplitTables,
    TableParams,
    build_tables,
    has_labels,
    provides,
)
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.huggingface.arrow import ArrowTable
from sslbench_plugins.datasets.huggingface.folder import SavedFolder, saved_folder


class HuggingFaceParams(TableParams):
    """Which folder, which of its splits and columns, and how the images are read."""

    path: PathText = param(..., "a folder that `save_to_disk` wrote, or arrow files", min_length=1)
    train: str = param("", "split to train on; empty: the one of that name, or the only one")
    test: str = param("", "split to evaluate on; empty: test, else validation, else a share of the only split")


def folder_of(params: HuggingFaceParams) -> SavedFolder:
    """What the user names."""
    return saved_folder(Path(os.path.expanduser(params.path)))


def chosen_splits(folder: SavedFolder, params: HuggingFaceParams) -> tuple[str, dict[Role, str]]:
    """The split to train on, and those that may be evaluated on, the first choice first. Raises UserError where names
    do not say it."""
    where, names = f"hf-disk: {folder.root}", list(folder.splits)
    for key, name in (("train", params.train), ("test", params.test)):
        if name and name not in names:
            raise UserError(f"{where} has no split {name!r}; {key}=NAME names one of {', '.join(names)}")
    if params.train and params.train == params.test:
        raise UserError(f"{where}: train and test both name the split {params.train!r}")
    if params.train and params.test:
        return params.train, {"test": params.test}
    if len(names) == 1 and not params.test:
        return names[0], {}
    known = split_names(where, [name for name in names if name not in (params.train, params.test)])
    train = params.train or known.roles.get("train")
    if train is None:
        raise UserError(f"{where} has the splits {', '.join(names)}; train=NAME and test=NAME say which is which")
    tests = {role: name for role, name in known.roles.items() if role != "train"}
    order: tuple[Role, ...] = ("test", "validation")
    return train, {"test": params.test} if params.test else {role: tests[role] for role in order if role in tests}


def build(params: HuggingFaceParams, context: BuildContext) -> TwoSplits:
    """The saved splits, or a fixed share of each class of the only one, by a hash of the row, as the test split."""
    folder = folder_of(params)
    # Taken before the files are read, so that a change while they are makes another key next time.
    key = [str(folder.root.resolve()), *folder.stamps()]
    train, tests = chosen_splits(folder, params)
    tables = {
        name: [ArrowTable(file, folder.name(file), folder.features.get(name, {})) for file in files]
        for name, files in folder.splits.items()
    }

    def left_out() -> Mapping[str, int]:
        others = [name for name in tables if name not in (train, *tests.values())]
        counts = {f"split {name}, not used": sum(table.rows for table in tables[name]) for name in others}
        return {**folder.not_looked_at(), **counts}

    if params.test and not any(has_labels(table, params) for table in tables[params.test]):
        raise UserError(f"hf-disk: {folder.root}: no row of the split {params.test!r} has a label")
    split = SplitTables(tables[train], {role: tables[name] for role, name in tests.items()}, left_out)
    return build_tables(split, params, f"hf-disk {params.path}", key)


def fingerprint(params: HuggingFaceParams) -> str:
    """Digest of names, sizes and times of change of the arrow files, and of what describes them; no image is read."""
    return digest_of(folder_of(params).stamps())


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(name="hf-disk", params=HuggingFaceParams, build=build, fingerprint=fingerprint, provides=provides)
    ]
