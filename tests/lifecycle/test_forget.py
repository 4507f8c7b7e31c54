"""Erasing one customer from tables and artifacts, whatever the key's type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.books import PUBLISH, Books

from segmentation_pipeline.errors import ArtifactError, ErasureRefusedError
from segmentation_pipeline.lifecycle.forget import Forgotten, forget
from segmentation_pipeline.storage.artifacts.manifest import Manifest
from segmentation_pipeline.storage.artifacts.store import ArtifactStore

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

A, B = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"


@pytest.mark.parametrize(
    ("key_type", "arrow", "keys", "text", "wrong"),
    [
        ("smallint", pa.int16(), (7, 8), "7", "99999999999999999999"),
        ("integer", pa.int32(), (7, 8), " 7 ", "7.5"),
        ("bigint", pa.int64(), (2**53 + 1, 2**53), "9007199254740993", "x"),
        ("uuid", pa.string(), (A, B), A.upper(), "x"),
        ("text", pa.string(), ("", " "), "", None),
    ],
)
def test_one_customer_goes_and_the_next_one_stays(
    engine: sa.Engine,
    tmp_path: Path,
    key_type: str,
    arrow: pa.DataType,
    keys: tuple[Any, Any],
    text: str,
    wrong: str | None,
) -> None:
    """Integers beyond 2^53, a uuid in capitals and an empty text find their customer and no other."""
    books, store = Books(engine), ArtifactStore(tmp_path / "artifacts" / "shop")
    books.register(key_type)
    books.execute(f"CREATE TABLE target (user_id {key_type}, segment_id integer, last_updated timestamptz)")
    for key in keys:
        books.execute("INSERT INTO target VALUES (%s)", key)
    books.publish(books.align(1), dict(zip(keys, (1, 2), strict=True)))
    column = pa.array(keys, arrow)
    with store.writing("raw_extract", "2024-01-01", "run") as artifact:
        artifact.write_table("rows", pa.table({"customer_id": column, "x": [1, 2]}))
        artifact.manifest = Manifest(rows=2, data_version="a")
    with store.writing("encoded_features", "2024-01-01", "run") as artifact:
        artifact.write_matrix("customer_id", column, np.ones((2, 3), np.float32))
        artifact.manifest = Manifest(rows=2, data_version="a")
    if wrong is not None:
        with pytest.raises(ErasureRefusedError, match=f"is not a key of shop: customer_id is of type {key_type}"):
            _forget(books, store, wrong)

    forgotten = _forget(books, store, text)

    where = "2024-01-01/run"
    assert forgotten == Forgotten(1, 0, 0, 1, (f"raw_extract/{where}",), (f"encoded_features/{where}",))
    assert books.rows("SELECT customer_id::text FROM segmentation.shop_assignment") == [(str(keys[1]),)]
    assert dict(books.rows("SELECT user_id::text, segment_id FROM target")) == {str(keys[0]): None, str(keys[1]): 2}
    rows = pq.read_table(tmp_path / "artifacts" / "shop" / "raw_extract" / where / "rows.parquet")
    assert rows.to_pylist() == [{"customer_id": keys[1], "x": 2}]
    assert rows.schema.field("customer_id").type == arrow
    assert not _forget(books, store, text).anything


def test_a_target_that_is_gone_does_not_keep_a_customer(books: Books, tmp_path: Path) -> None:
    """Without the target table the rest is erased all the same."""
    books.publish(books.align(1), {1: 1, 2: 2})
    books.execute("DROP TABLE target")
    assert _forget(books, ArtifactStore(tmp_path / "none"), "1") == Forgotten(history=1)


def test_an_artifact_that_cannot_be_rewritten_leaves_all_as_it_was(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the erasure with the tables untouched and the artifact whole; the same command does it again."""
    store = ArtifactStore(tmp_path / "artifacts" / "shop")
    books.publish(books.align(1), {1: 1, 2: 2})
    with store.writing("raw_extract", "2024-01-01", "run") as artifact:
        artifact.write_table("rows", pa.table({"customer_id": [1, 2]}))
        artifact.manifest = Manifest(rows=2, data_version="a")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(pq.ParquetWriter, "write_batch", full)
        with pytest.raises(ArtifactError, match=r"could not be written.*No space left"):
            _forget(books, store, "1")
    assert books.rows("SELECT count(*) FROM segmentation.shop_assignment") == [(2,)]
    assert store.open("raw_extract", "2024-01-01", "run").table("rows").num_rows == 2
    assert [path.name for path in (tmp_path / "artifacts" / "shop" / "raw_extract" / "2024-01-01").iterdir()] == ["run"]
    assert _forget(books, store, "1").anything


def _forget(books: Books, store: ArtifactStore, text: str) -> Forgotten:
    with books.engine.begin() as connection:
        return forget(connection, PUBLISH, store, "shop", text)
