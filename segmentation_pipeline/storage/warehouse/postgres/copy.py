"""PostgreSQL's binary COPY format, written in blocks of rows: numbers need not become text and be parsed again.

The format is that of the manual's page on COPY: a header, for every row the number of its fields, for every field its
length (-1: null) and its bytes, big-endian, and a trailer. Rows whose fields have fixed lengths are one numpy array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
# the numpy type of the bytes of PostgreSQL's types
FIXED: Final = {"smallint": ">i2", "integer": ">i4", "bigint": ">i8", "double precision": ">f8", "uuid": "V16"}
BLOCK_ROWS: Final = 131_072
_DIGITS: Final = np.zeros(256, dtype=np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16, dtype=np.uint8)
_DIGITS[np.frombuffer(b"ABCDEF", dtype=np.uint8)] = np.arange(10, 16, dtype=np.uint8)


def encode(batches: Iterable[pa.RecordBatch], types: Sequence[str]) -> Iterator[bytes]:
    """Yield the rows as COPY reads them, with columns of PostgreSQL `types` (all in FIXED); nulls change the order."""
    yield HEADER
    for batch in batches:
        nulls = [np.asarray(column.is_null()) for column in batch.columns]
        values = [_to_bytes(column, kind) for column, kind in zip(batch.columns, types, strict=True)]
        # rows with nulls in the same fields have the same length
        pattern = sum(null.astype(np.int64) << place for place, null in enumerate(nulls))
        for code in np.unique(pattern).tolist():
            here = np.flatnonzero(pattern == code)
            null = [bool(code >> place & 1) for place in range(len(types))]
            block = np.zeros(len(here), dtype=_build_row_type(types, null))
            block["n"] = len(types)
            for place, kind in enumerate(types):
                block[f"size{place}"] = -1 if null[place] else np.dtype(FIXED[kind]).itemsize
                if not null[place]:
                    block[f"value{place}"] = values[place][here]
            yield block.tobytes()
    yield TRAILER


def _build_row_type(types: Sequence[str], null: Sequence[bool]) -> np.dtype[np.void]:
    fields: list[tuple[str, str]] = [("n", ">i2")]
    for place, kind in enumerate(types):
        fields.append((f"size{place}", ">i4"))
        if not null[place]:
            fields.append((f"value{place}", FIXED[kind]))
    return np.dtype(fields)


def _to_bytes(column: pa.Array, kind: str) -> NDArray[np.generic]:
    """Return the values in PostgreSQL's bytes; where there is a null the bytes mean nothing."""
    if kind != "uuid":
        return np.asarray(pc.fill_null(column, 0)).astype(FIXED[kind])
    text = pc.replace_substring(pc.fill_null(column, "0" * 32), "-", "")
    digits = _DIGITS[np.frombuffer("".join(text.to_pylist()).encode(), dtype=np.uint8)].reshape(-1, 2)
    return (digits[:, 0] << 4 | digits[:, 1]).view("V16")
