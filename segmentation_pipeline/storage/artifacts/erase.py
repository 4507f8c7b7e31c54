"""Erasing one customer from the artifacts of a segmentation."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation_pipeline.storage.artifacts.artifact import COMPRESSION, MATRIX, Artifact
from segmentation_pipeline.storage.artifacts.datasets import RawExtract
from segmentation_pipeline.storage.artifacts.manifest import Manifest
from segmentation_pipeline.storage.artifacts.store import MANIFEST, disk_errors, seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from segmentation_pipeline.storage.artifacts.store import ArtifactStore

_RECEIPT: Final = "receipt.json"
_EXAMPLES: Final = "examples_not_in_target"


@dataclass(frozen=True, slots=True)
class ErasedArtifacts:
    """The artifacts that were rewritten without the customer, and those that were removed: stage/partition/run."""

    rewritten: tuple[str, ...]
    removed: tuple[str, ...]


def erase_from_artifacts(store: ArtifactStore, key_name: str, key: int | str) -> ErasedArtifacts:
    """Rewrite the artifacts that name the customer `key`, and remove the matrices that have a row of them.

    A matrix is removed as a whole, because other artifacts count its rows. What killed runs left is removed too.

    Raises:
        ArtifactError: an artifact could not be rewritten.
    """
    rewritten, removed = [], []
    n_erased: dict[str, int] = {}  # rows of the customer by artifact, to keep the counts of the next stage right
    with disk_errors("the artifacts without the customer"):
        for folder in _list_folders(store):
            where = "/".join(folder.parts[-3:])
            artifact = Artifact(folder, Manifest.from_json(json.loads((folder / MANIFEST).read_text())))
            if (folder / MATRIX).exists() and _equal_to(artifact.matrix()[0], key).true_count:
                shutil.rmtree(folder)
                removed.append(where)
                continue
            tables = {path: n for path in folder.glob("*.parquet") if (n := _count_rows(path, key_name, key))}
            n_rows = n_erased[where] = sum(tables.values())
            n_rejected = sum(n_erased.get(origin, 0) for origin in artifact.manifest.made_from) - n_rows
            counts = {"rows": artifact.rows - n_rows} if tables else {}
            if artifact.manifest.rejected is not None and n_rejected:
                counts["rejected"] = artifact.manifest.rejected - n_rejected
            if counts or _is_example(folder / _RECEIPT, key):
                forgotten = (artifact.manifest.forgotten or 0) + n_rows
                _rewrite(artifact, set(tables), key_name, key, counts | {"forgotten": forgotten})
                rewritten.append(where)
    return ErasedArtifacts(tuple(rewritten), tuple(removed))


def _list_folders(store: ArtifactStore) -> Iterator[Path]:
    """Yield the folder of every sealed artifact, the raw extracts first, after removing what killed runs left."""
    store.remove_unfinished()
    for folder in sorted(store.root.glob("*/*/*"), key=lambda folder: folder.parts[-3] != RawExtract.STAGE):
        if (folder / MANIFEST).exists():
            yield folder


def _is_example(receipt: Path, key: int | str) -> bool:
    """Return whether a publication's receipt names the customer as one whom the target lacks."""
    return receipt.exists() and str(key) in json.loads(receipt.read_text()).get(_EXAMPLES, ())


def _rewrite(artifact: Artifact, tables: set[Path], key_name: str, key: int | str, counts: Mapping[str, Any]) -> None:
    """Write the artifact without the customer aside, and then put it in the place of the old one."""
    folder = artifact.folder
    aside, old = (folder.with_name(f".{folder.name}.{what}-{os.getpid()}") for what in ("partial", "old"))
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    try:
        for path in folder.iterdir():
            if path in tables:
                _copy_without(path, aside / path.name, key_name, key)
            elif path.name == _RECEIPT:
                receipt = json.loads(path.read_text())
                receipt[_EXAMPLES] = [example for example in receipt.get(_EXAMPLES, ()) if example != str(key)]
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


def _copy_without(source: Path, destination: Path, key_name: str, key: int | str) -> None:
    file = pq.ParquetFile(source)
    with pq.ParquetWriter(destination, file.schema_arrow, compression=COMPRESSION) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch.filter(pc.invert(_equal_to(batch.column(key_name), key))))


def _count_rows(path: Path, key_name: str, key: int | str) -> int:
    """Return the number of the customer's rows in a Parquet file; 0 where the file has no keys."""
    file = pq.ParquetFile(path)
    if key_name not in file.schema_arrow.names:
        return 0
    return sum(_equal_to(batch.column(0), key).true_count for batch in file.iter_batches(columns=[key_name]))


def _equal_to(keys: pa.Array, key: int | str) -> pa.BooleanArray:
    kind = pa.string() if isinstance(key, str) else pa.int64()
    return pc.fill_null(pc.equal(keys.cast(kind), pa.scalar(key, kind)), fill_value=False)
