"""Tables of images and labels in files, one data set of them: its rows, and its splits by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sslbench import param
from sslbench_plugins.blocks.images_on_disk.columns import LABELS, NO_LABEL, Table, check_split, columns_of
from sslbench_plugins.blocks.images_on_disk.file_labels import FileLabels, cleaned
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams
from sslbench_plugins.blocks.images_on_disk.rows import RowReading, Rows, numbered, split_rows
from sslbench_plugins.blocks.images_on_disk.splits import Role
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.blocks.images_on_disk.unlabelled import UNLABELLED, is_minus_one


class TableParams(ReadingParams):
    """Which columns are read, and how."""

    image: str = param("", "column of the images: bytes, or a struct with bytes; empty: the one that looks like it")
    label: str = param("", f"column of the labels; empty: {', '.join(LABELS)}, or that of classes; none: no labels")
    size: int = param(0, "side to which images are resized and centre-cropped; 0: as they are", ge=0, unit="px")
    test_share: float = param(0.2, "part of each class to evaluate on, where no test split has labels", gt=0, lt=1)

    @property
    def labelled(self) -> bool:
        """Whether labels are read."""
        return self.label != NO_LABEL


def provides(params: TableParams) -> frozenset[str]:
    """Labels, unless the user wants none."""
    return frozenset({"labels"} if params.labelled else ())


@dataclass(frozen=True)
class SplitTables:
    """Tables by their split."""

    train: Sequence[Table]
    tests: Mapping[Role, Sequence[Table]]
    """that may be evaluated on, the first choice first"""
    left_out: Callable[[], Mapping[str, int]] = field(default=dict)
    """why -> rows and files that are no part of a split, counted when they are asked for"""

    def used_test(self, params: TableParams) -> Role | None:
        """The split that is evaluated on: the first with any label; published test sets often have -1, or nothing, for
        every image. The first of all where no labels are read."""
        labelled = (role for role, part in self.tests.items() if any(has_labels(table, params) for table in part))
        return next(labelled, None)

    def not_used(self, used: Role | None) -> Mapping[str, int]:
        """Why -> rows of the splits that may be evaluated on and are not; ``used``: the one that is."""
        counts: Counter[str] = Counter()
        # Splits are tried in order: those before the one that is used have no label.
        why = "without labels"
        for role, part in self.tests.items():
            if role == used:
                why = "not used"
            else:
                counts[f"split {role}, {why}"] += sum(table.rows for table in part)
        return counts


def has_labels(table: Table, params: TableParams) -> bool:
    """Whether any label is known, or none is wanted."""
    return not params.labelled or any(label is not None for label in labels_of(table, params).values)


def labels_of(table: Table, params: TableParams) -> FileLabels:
    """The labels of one file. Raises UserError for a file that cannot be read, lacks a column, or holds no classes."""
    _, label, names = columns_of(table, params.image, params.label)
    written = table.read([label]).column(label).to_pylist()
    values = cleaned(written, f"{table.dataset}: column {label!r} of {table.name}")
    minus_ones = tuple({value for value in written if is_minus_one(value)})
    return FileLabels(table.name, values, names, minus_ones, table.dataset)


def read_rows(train: Sequence[Table], test: Sequence[Table], params: TableParams, where: str) -> Rows:
    """All rows of the files. Raises UserError for files that do not fit together."""
    for table in train:
        check_split(table, columns_of(table, params.image, params.label)[:2], "train", folds=not test)
    tables = [*train, *test]
    if params.labelled:
        labels, classes = read_labels(train, test, params, where)
    else:
        labels, classes = [0] * sum(table.rows for table in tables), []
    return Rows(
        [image for table in tables for image in table.images(columns_of(table, params.image, params.label)[0])],
        labels,
        [f"{table.name} row {row}" for table in tables for row in range(table.rows)],
        sum(table.rows for table in train),
        classes,
    )


def read_labels(
    train: Sequence[Table], test: Sequence[Table], params: TableParams, where: str
) -> tuple[list[int], list[str]]:
    """The number of each row's class, and their names."""
    train_labels, test_labels = ([labels_of(table, params) for table in part] for part in (train, test))
    return numbered(train_labels, test_labels, where)


def build_tables(tables: SplitTables, params: TableParams, where: str, key: Sequence[str]) -> TwoSplits:
    """The tables' own splits, or a fixed share of each class as the test split. ``key``: lines that change when an
    image does, taken before a file is read."""
    used = tables.used_test(params)
    rows = read_rows(tables.train, tables.tests[used] if used else [], params, where)
    counts = Counter({UNLABELLED: sum(label < 0 for label in rows.labels)})
    counts.update(tables.not_used(used))
    counts.update(tables.left_out())
    how = RowReading(params, params.size or None, params.test_share, where, [*key, params.image])
    return split_rows(rows, how, used is not None, dict(+counts))
