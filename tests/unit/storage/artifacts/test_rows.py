"""Parquet rows as the stages read them: the same values in a column as in the blocks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_pipeline.analysis.features.categorical import read_categories
from segmentation_pipeline.storage.artifacts.rows import ParquetRows

TEXT = pa.array(["b", None, "a", "b", "c", "a", None, "b"])
BEYOND_DOUBLES = [2**53, 2**53 + 1, None, 2**53 + 3, 1, 2, 3, 4]


def _written(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, path := folder / "rows.parquet", row_group_size=3)
    return path


def test_categories_are_those_of_the_text(tmp_path: Path) -> None:
    """Read as categoricals, a column of several row groups names and counts what its text does, null included."""
    path = _written(tmp_path, pa.table({"text": TEXT, "other": TEXT}))
    plain, rows = ParquetRows(path), ParquetRows(path, categories=["text"])

    assert isinstance(rows["text"].dtype, pd.CategoricalDtype)
    assert rows["other"].dtype == plain["other"].dtype
    found, expected = read_categories(rows["text"]), read_categories(plain["text"])
    assert found.count() == expected.count() == {"b": 3, "(missing)": 2, "a": 2, "c": 1}
    assert [found.names[code] for code in found.codes] == [expected.names[code] for code in expected.codes]
    np.testing.assert_array_equal(rows["text"].isna(), plain["text"].isna())


@given(st.lists(st.sampled_from(["a", "b", "(missing)", "3", "", "emoji 😀", None]), min_size=1, max_size=40))
def test_a_block_names_its_own_values(values: list[str | None]) -> None:
    """A category that is called like the nulls is one with them, whatever the block holds."""
    text = pd.Series(pa.array(values, pa.string()).to_pandas())
    coded = text.astype("category")

    one, other = read_categories(text), read_categories(coded)

    assert one.count() == other.count()
    assert [one.names[code] for code in one.codes] == [other.names[code] for code in other.codes]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_blocks_hold_what_the_columns_hold(tmp_path: Path, size: int) -> None:
    """Integers beyond a double's stay exact beside nulls, in blocks that have none as well."""
    table = pa.table({"key": pa.array(BEYOND_DOUBLES), "text": TEXT, "key.text": TEXT})
    rows = ParquetRows(_written(tmp_path, table), categories=["text"])

    blocks = list(rows.iter_blocks(size))

    assert all(0 < len(block) <= size for block in blocks)
    assert sum(map(len, blocks)) == len(rows) == 8
    for block in blocks:
        assert block["key"].dtype == rows["key"].dtype == pd.Int64Dtype()
    assert [key for block in blocks for key in block["key"].tolist()] == rows["key"].tolist()
    assert rows["key"].tolist()[:2] == BEYOND_DOUBLES[:2]
    names = [None if pd.isna(text) else text for block in blocks for text in block["text"]]
    assert names == TEXT.to_pylist()
