"""PostgreSQL's binary COPY format, by itself; tests/storage loads it into a real table."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.storage.binary_copy import HEADER, TRAILER, decode, encode


def test_a_row_is_its_fields_with_their_lengths() -> None:
    """The bytes are those of the manual: the number of fields, and before each value its length, big-endian."""
    rows = pa.table({"a": pa.array([7], pa.int32()), "b": pa.array([1.5])})

    data = b"".join(encode(rows, ["integer", "double precision"]))

    fields = "00020000000400000007000000083ff8000000000000"
    assert data == HEADER + bytes.fromhex(fields) + TRAILER


def test_a_null_has_no_bytes() -> None:
    """A null is the length -1 alone."""
    data = b"".join(encode(pa.table({"a": pa.array([None, 5], pa.int16())}), ["smallint"]))

    assert data == HEADER + bytes.fromhex("00010000000200050001ffffffff") + TRAILER


@pytest.mark.parametrize("n_rows", [0, 1, 1_000])
def test_what_was_encoded_is_decoded(n_rows: int) -> None:
    """Numbers come back as they were, to the last bit."""
    rng = np.random.default_rng(3)
    keys, values = rng.integers(-(2**62), 2**62, n_rows), rng.normal(size=n_rows)
    rows = pa.table({"key": keys, "segment": pa.array(np.arange(n_rows), pa.int32()), "value": values})

    found = decode(
        b"".join(encode(rows, ["bigint", "integer", "double precision"])), ["bigint", "integer", "double precision"]
    )

    for column, expected in zip(found, (keys, np.arange(n_rows), values), strict=True):
        np.testing.assert_array_equal(column, expected)
    assert [each.dtype.str for each in found] == ["<i8", "<i4", "<f8"]


def test_a_uuid_is_sixteen_bytes() -> None:
    """In whatever case its digits are written."""
    keys = [uuid.UUID(int=5), uuid.UUID("DEADBEEF-0123-4567-89ab-cdefABCDEF01")]

    data = b"".join(encode(pa.table({"key": [str(keys[0]), str(keys[1]).upper()]}), ["uuid"]))

    assert data == HEADER + b"".join(b"\0\1\0\0\0\x10" + each.bytes for each in keys) + TRAILER
