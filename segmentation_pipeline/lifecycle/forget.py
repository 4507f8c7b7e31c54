"""Erasing one customer: from the history, the scored and rejected rows, the target's segment and the artifacts."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa
from psycopg import sql

from segmentation_pipeline.errors import ErasureRefusedError
from segmentation_pipeline.storage.artifacts.artifact import COMPRESSION, Artifact
from segmentation_pipeline.storage.artifacts.manifest import Manifest
from segmentation_pipeline.storage.artifacts.store import MANIFEST, ArtifactStore, disk_errors, seal
from segmentation_pipeline.storage.registry import assignments, schema, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.write import clear_segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segmentation_pipeline.spec import PublishSpec
    from segmentation_pipeline.storage.registry.snapshots import Ledger

_MATRIX: Final = "matrix.arrow"
_RECEIPT: Final = "receipt.json"
_EXAMPLES: Final = "examples_not_in_target"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased: rows of the tables, emptied rows of the target, artifacts by stage/partition/run."""

    history: int = 0
    scored: int = 0
    rejected: int = 0
    target: int = 0
    rewritten: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything was kept of the customer."""
        return any((self.history, self.scored, self.rejected, self.target, self.rewritten, self.removed))


def forget(connection: sa.Connection, publish: PublishSpec, store: ArtifactStore, name: str, text: str) -> Forgotten:
    """Erase the customer whose key is `text` inside the open transaction, under the segmentation's lock.

    The artifacts go before the transaction ends: where they cannot be rewritten the tables stay as they were, and the
    same command does it again. No run of the segmentation may be in progress.

    Raises:
        ErasureRefusedError: `text` cannot be a key of this segmentation.
        ArtifactError: an artifact could not be rewritten.
    """
    ledger = snapshots.lock(connection, name)
    if ledger is None:
        return Forgotten()
    key = parse_key(ledger, text)
    erased = _in_tables(connection, ledger, key)
    target = clear_segment(connection, publish, key, key_type=_cast(ledger))
    with disk_errors("the artifacts without the customer"):
        rewritten, removed = _in_artifacts(store, ledger.key_name, key)
    return replace(erased, target=target, rewritten=tuple(rewritten), removed=tuple(removed))


def parse_key(ledger: Ledger, text: str) -> int | str:
    """The key as it is stored: an integer, a uuid in its usual spelling, or the text itself.

    Raises:
        ErasureRefusedError: the text is no such key.
    """
    try:
        if ledger.key_type == "uuid":
            return str(uuid.UUID(text))
        if ledger.key_type == "text":
            return text
        if abs(number := int(text)) < 2**63:
            return number
    except ValueError:
        pass
    message = (
        f"{text!r} is no key of {ledger.name}: {ledger.key_name} is of type {ledger.key_type}. Nothing was erased."
    )
    raise ErasureRefusedError(message)


def _cast(ledger: Ledger) -> str:
    """The type the key is compared as: a larger number than the column holds is in no row, not an error."""
    return ledger.key_type if ledger.key_type in {"uuid", "text"} else "bigint"


def _in_tables(connection: sa.Connection, ledger: Ledger, key: int | str) -> Forgotten:
    cursor = get_driver_connection(connection).cursor()

    def delete(table: sql.Identifier, column: str, value: int | str, kind: str) -> int:
        there = connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table.as_string()})
        if there is None:
            return 0
        statement = sql.SQL("DELETE FROM {} WHERE {} = %s::{}").format(table, sql.Identifier(column), sql.SQL(kind))
        return cursor.execute(statement, [value]).rowcount

    rejected = sql.Identifier(schema.SCHEMA, f"{ledger.name}_rejected")
    return Forgotten(
        history=delete(assignments.assignment_table(ledger.name), ledger.key_name, key, _cast(ledger)),
        scored=delete(assignments.scored_table(ledger.name), ledger.key_name, key, _cast(ledger)),
        rejected=delete(rejected, "key", str(key), "text"),
    )


def _in_artifacts(store: ArtifactStore, key_name: str, key: int | str) -> tuple[list[str], list[str]]:
    """Rewrite the artifacts that name the customer; a matrix goes as a whole, for its rows are counted elsewhere."""
    rewritten, removed = [], []
    n_raw: dict[str, int] = {}  # rows of the customer by artifact, to keep the counts of the next stage right
    for folder in _folders(store):
        where = "/".join(folder.parts[-3:])
        artifact = Artifact(folder, Manifest.from_json(json.loads((folder / MANIFEST).read_text())))
        if (folder / _MATRIX).exists() and _is_key(artifact.matrix()[0], key).true_count:
            shutil.rmtree(folder)
            removed.append(where)
            continue
        tables = {each: n for each in folder.glob("*.parquet") if (n := _count(each, key_name, key))}
        n_rows = n_raw[where] = sum(tables.values())
        n_rejected = sum(n_raw.get(each, 0) for each in artifact.manifest.made_from) - n_rows
        counts = {"rows": artifact.rows - n_rows} if tables else {}
        if artifact.manifest.rejected is not None and n_rejected:
            counts["rejected"] = artifact.manifest.rejected - n_rejected
        receipt = folder / _RECEIPT
        named = receipt.exists() and str(key) in json.loads(receipt.read_text()).get(_EXAMPLES, ())
        if counts or named:
            forgotten = (artifact.manifest.forgotten or 0) + n_rows
            _rewrite(artifact, set(tables), key_name, key, counts | {"forgotten": forgotten})
            rewritten.append(where)
    return rewritten, removed


def _folders(store: ArtifactStore) -> Iterator[Path]:
    """Every sealed artifact, the raw extracts first; what killed runs left goes."""
    store.remove_unfinished()
    for folder in sorted(store.root.glob("*/*/*"), key=lambda each: each.parts[-3] != "raw_extract"):
        if (folder / MANIFEST).exists():
            yield folder


def _rewrite(artifact: Artifact, tables: set[Path], key_name: str, key: int | str, counts: dict[str, Any]) -> None:
    """Write the artifact without the customer aside and put it in its place."""
    folder = artifact.folder
    aside, old = (folder.with_name(f".{folder.name}.{what}-{os.getpid()}") for what in ("partial", "old"))
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    try:
        for path in folder.iterdir():
            if path in tables:
                _without(path, aside / path.name, key_name, key)
            elif path.name == _RECEIPT:
                receipt = json.loads(path.read_text())
                receipt[_EXAMPLES] = [each for each in receipt.get(_EXAMPLES, ()) if each != str(key)]
                (aside / path.name).write_text(json.dumps(receipt, indent=1))
            elif path.name != MANIFEST:
                shutil.copyfile(path, aside / path.name)
        seal(Artifact(aside, replace(artifact.manifest, **counts)))
        folder.rename(old)
        aside.rename(folder)
        shutil.rmtree(old)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _without(source: Path, destination: Path, key_name: str, key: int | str) -> None:
    file = pq.ParquetFile(source)
    with pq.ParquetWriter(destination, file.schema_arrow, compression=COMPRESSION) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch.filter(pc.invert(_is_key(batch.column(key_name), key))))


def _count(path: Path, key_name: str, key: int | str) -> int:
    """How many rows of a Parquet file are the customer's; none where it has no keys."""
    file = pq.ParquetFile(path)
    if key_name not in file.schema_arrow.names:
        return 0
    return sum(_is_key(batch.column(0), key).true_count for batch in file.iter_batches(columns=[key_name]))


def _is_key(keys: pa.Array, key: int | str) -> pa.BooleanArray:
    kind = pa.string() if isinstance(key, str) else pa.int64()
    return pc.fill_null(pc.equal(keys.cast(kind), pa.scalar(key, kind)), fill_value=False)
