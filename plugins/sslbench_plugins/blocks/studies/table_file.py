"""A user's table: CSV or parquet by the file's ending, as columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sslbench import UserError

PARQUET = {".parquet", ".pq"}


def read_columns(path: str, where: str, needed: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Column name -> its values, in the file's order. ``where`` names the parameter in messages.

    Raises UserError where the file cannot be read, has no rows, lacks a ``needed`` column or names one twice.
    """
    from pyarrow import ArrowException, csv, parquet

    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"{where} = {path!r}: no such file; expected a CSV or parquet file")
    try:
        table = parquet.read_table(file) if file.suffix.lower() in PARQUET else csv.read_csv(file)
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{where} = {path!r}: cannot be read as a CSV or parquet file: {reason}") from None
    names = [name.strip() for name in table.column_names]
    missing = [name for name in needed if name not in names]
    if missing:
        raise UserError(f"{where} = {path!r}: no column {missing[0]!r}; its columns are {', '.join(names)}")
    if len(set(names)) < len(names):
        raise UserError(f"{where} = {path!r}: a column is named twice; its columns are {', '.join(names)}")
    if table.num_rows == 0:
        raise UserError(f"{where} = {path!r}: the table has no rows")
    return dict(zip(names, (column.to_pylist() for column in table.columns), strict=True))
