"""PostgreSQL's binary COPY format, by itself; tests/registry loads it into a real table."""

from __future__ import annotations

import uuid

import pyarrow as pa

from segmentation_pipeline.storage.warehouse.postgres.copy import HEADER, TRAILER, encode


def test_a_row_is_its_fields_with_their_lengths() -> None:
    """The bytes are those of the manual: the number of fields, and before every value its length, big-endian."""
    rows = pa.table({"a": pa.array([7], pa.int32()), "b": pa.array([1.5])})

    data = b"".join(encode(rows.to_batches(), ["integer", "double precision"]))

    fields = "00020000000400000007000000083ff8000000000000"
    assert data == HEADER + bytes.fromhex(fields) + TRAILER


def test_a_null_has_no_bytes() -> None:
    """A null is the length -1 alone."""
    data = b"".join(encode(pa.table({"a": pa.array([None, 5], pa.int16())}).to_batches(), ["smallint"]))

    assert data == HEADER + bytes.fromhex("00010000000200050001ffffffff") + TRAILER


def test_a_uuid_is_sixteen_bytes() -> None:
    """A uuid becomes its bytes, in capitals or not."""
    keys = [uuid.UUID(int=5), uuid.UUID("DEADBEEF-0123-4567-89ab-cdefABCDEF01")]

    data = b"".join(encode(pa.table({"key": [str(keys[0]), str(keys[1]).upper()]}).to_batches(), ["uuid"]))

    assert data == HEADER + b"".join(b"\0\1\0\0\0\x10" + key.bytes for key in keys) + TRAILER
