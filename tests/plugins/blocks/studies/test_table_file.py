from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import parquet

from sslbench import UserError
from sslbench_plugins.blocks.studies.table_file import read_columns


def test_csv_and_parquet_are_the_same(tmp_path):
    (tmp_path / "t.csv").write_text("a, b\n1,x\n2,y\n")
    parquet.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "t.parquet")
    expected = {"a": [1, 2], "b": ["x", "y"]}
    assert read_columns(str(tmp_path / "t.csv"), "rows", ("a",)) == expected
    assert read_columns(str(tmp_path / "t.parquet"), "rows", ("a",)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column 'c'; its columns are a, b"),
        ("a,a,c\n1,2,3\n", "a column is named twice"),
        ("a,b,c\n", "the table has no rows"),
        ("", "cannot be read as a CSV or parquet file"),
        ("a,b,c\n1,2\n", "cannot be read as a CSV or parquet file"),
    ],
)
def test_mistakes(tmp_path, text, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_columns(str(path), "rows", ("c",))
    assert caught.value.messages[0].startswith(f"rows = {str(path)!r}: ")
    assert words in caught.value.messages[0]
    assert "\n" not in caught.value.messages[0]


def test_no_file():
    with pytest.raises(UserError, match="rows = 'nowhere.csv': no such file; expected a CSV or parquet file"):
        read_columns("nowhere.csv", "rows")
