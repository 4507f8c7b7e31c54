"""Artifacts: whole or not at all, open to the owner only, versioned by their rows and not by their order."""

import json
import math
import os
import stat
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segmentation_pipeline.errors import ArtifactError
from segmentation_pipeline.model.json import to_plain
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.store import MANIFEST, ArtifactStore
from segmentation_pipeline.storage.artifacts.versions import RowsVersion, json_version, text_version


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """An empty store below a home that does not exist yet."""
    return ArtifactStore(tmp_path / "home" / "artifacts" / "shop")


def _written(store: ArtifactStore, run_id: str = "run-1", **manifest: Any) -> Artifact:
    """An artifact with one file of each kind."""
    with store.writing("raw_extract", "2024-01-01", run_id) as artifact:
        artifact.write_table("rows", pa.table({"id": [1, 2], "x": [0.5, 1.5]}))
        artifact.write_json("notes", {"n": 1})
        artifact.note(**{"rows": 2, "data_version": "v1"} | manifest)
    return artifact


def _entries(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_what_was_written_is_read_again(store: ArtifactStore) -> None:
    """An artifact is opened by stage, partition and run, with its data and its manifest."""
    written = _written(store)

    opened = store.open("raw_extract", "2024-01-01", "run-1")

    assert opened.folder == written.folder == store.root / "raw_extract" / "2024-01-01" / "run-1"
    assert (opened.rows, opened.data_version, opened.run_id) == (2, "v1", "run-1")
    pd.testing.assert_frame_equal(opened.frame("rows"), pd.DataFrame({"id": [1, 2], "x": [0.5, 1.5]}))
    assert opened.json("notes") == {"n": 1}
    assert opened.manifest == written.manifest


def test_the_manifest_knows_the_bytes(store: ArtifactStore) -> None:
    """The manifest counts the bytes of the data files."""
    artifact = _written(store)

    sizes = [path.stat().st_size for path in artifact.folder.iterdir() if path.name != MANIFEST]
    assert artifact.manifest.bytes == sum(sizes) > 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(store: ArtifactStore, error: type[BaseException]) -> None:
    """An exception while writing, an interruption too, leaves no file and no folder of that run behind."""

    def fail() -> None:
        with store.writing("raw_extract", "2024-01-01", "run-1") as artifact:
            artifact.write_json("notes", {"n": 1})
            raise error

    with pytest.raises(error):
        fail()

    assert _entries(store.root) == []
    assert list((store.root / "raw_extract" / "2024-01-01").iterdir()) == []
    with pytest.raises(ArtifactError):
        store.open("raw_extract", "2024-01-01", "run-1")


def test_a_failed_retry_leaves_the_first_try(store: ArtifactStore) -> None:
    """A step that is tried again and fails does not take away what the first try had finished."""
    _written(store)

    def fail() -> None:
        with store.writing("raw_extract", "2024-01-01", "run-1"):
            raise ValueError

    with pytest.raises(ValueError):
        fail()

    assert store.open("raw_extract", "2024-01-01", "run-1").data_version == "v1"


def test_a_retry_replaces_the_first_try_whole(store: ArtifactStore) -> None:
    """A step that is tried again and succeeds leaves only its own files."""
    _written(store)
    with store.writing("raw_extract", "2024-01-01", "run-1") as artifact:
        artifact.write_json("other", {})
        artifact.note(data_version="v2")

    opened = store.open("raw_extract", "2024-01-01", "run-1")

    assert opened.data_version == "v2"
    assert sorted(path.name for path in opened.folder.iterdir()) == [MANIFEST, "other.json"]


def test_leftovers_of_a_killed_process_do_not_mix_in(store: ArtifactStore) -> None:
    """What a killed try of the same process id left aside is thrown away."""
    aside = store.root / "raw_extract" / "2024-01-01" / f".run-1.partial-{os.getpid()}"
    aside.mkdir(parents=True)
    (aside / "old.json").write_text("{}")

    artifact = _written(store)

    assert not aside.exists()
    assert "old.json" not in {path.name for path in artifact.folder.iterdir()}


def test_an_unfinished_folder_is_not_opened(store: ArtifactStore) -> None:
    """A folder without a manifest does not exist, and the message says what to materialize."""
    folder = store.folder("raw_extract", "2024-01-01", "0123456789")
    folder.mkdir(parents=True)
    (folder / "rows.parquet").write_bytes(b"half")

    with pytest.raises(ArtifactError) as refused:
        store.open("raw_extract", "2024-01-01", "0123456789")

    assert "raw_extract of 2024-01-01 (run 01234567) has no artifact at" in str(refused.value)
    assert "materialize raw_extract again" in str(refused.value)


def test_a_file_that_is_gone_is_named(store: ArtifactStore) -> None:
    """Reading a file that somebody removed names it and says what to do."""
    artifact = _written(store)
    (artifact.folder / "rows.parquet").unlink()

    with pytest.raises(ArtifactError, match=r"rows\.parquet is gone; materialize the asset that wrote it again"):
        artifact.frame("rows")


def test_only_the_owner_can_read(store: ArtifactStore) -> None:
    """Files are 0600 and folders 0700, whatever the umask allows."""
    before = os.umask(0)
    try:
        _written(store)
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.root.parent.rglob("*")}
    modes |= {"artifacts": stat.S_IMODE(store.root.parent.stat().st_mode)}

    assert modes == {
        "artifacts": 0o700, "shop": 0o700, "raw_extract": 0o700, "2024-01-01": 0o700, "run-1": 0o700,
        "rows.parquet": 0o600, "notes.json": 0o600, "manifest.json": 0o600,
    }  # fmt: skip


def test_nothing_is_readable_while_it_is_written(store: ArtifactStore) -> None:
    """The folder that is filled aside is closed to others from its first moment."""
    before = os.umask(0)
    try:
        with store.writing("raw_extract", "2024-01-01", "run-1") as artifact:
            mode = stat.S_IMODE(artifact.folder.stat().st_mode)
    finally:
        os.umask(before)

    assert mode == 0o700


def test_a_matrix_can_be_changed_without_its_file(store: ArtifactStore) -> None:
    """What is written to the changeable matrix stays in memory: the file, and who maps it, see nothing of it."""
    matrix = np.random.default_rng(0).normal(size=(500, 7)).astype(np.float32)
    with store.writing("encoded_features", "2024-01-01", "run-1") as artifact:
        artifact.write_matrix("customer_id", pa.array(range(500), pa.int64()), matrix)

    changed = artifact.changeable_matrix()
    np.testing.assert_array_equal(changed, matrix)
    changed -= 5

    np.testing.assert_array_equal(changed, matrix - np.float32(5))
    np.testing.assert_array_equal(artifact.matrix()[1], matrix)
    np.testing.assert_array_equal(artifact.changeable_matrix(), matrix)


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
@pytest.mark.parametrize("width", [1, 37])
def test_a_matrix_is_read_as_it_was_written(store: ArtifactStore, n_rows: int, width: int) -> None:
    """Keys and float32 rows come back bit for bit, mapped read-only from disk."""
    matrix = np.random.default_rng(0).normal(size=(n_rows, width)).astype(np.float32)
    keys = pa.array([2**53 + number for number in range(n_rows)], pa.int64())
    with store.writing("encoded_features", "2024-01-01", "run-1") as artifact:
        artifact.write_matrix("customer_id", keys, matrix)

    found_keys, found = artifact.matrix()

    assert found_keys.equals(keys)
    assert (found.dtype, found.shape, found.flags.writeable) == (np.float32, (n_rows, width), False)
    np.testing.assert_array_equal(found, matrix)


@pytest.mark.parametrize("key", ["customer_id", "features"])
def test_a_key_of_any_name_goes_with_a_matrix(store: ArtifactStore, key: str) -> None:
    """Text keys, in chunks as Parquet gives them and under any name, keep their places beside the rows."""
    keys = pa.chunked_array([["a", "🍣"], ["b"]])
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    with store.writing("encoded_features", "2024-01-01", "run-1") as artifact:
        artifact.write_matrix(key, keys, matrix)

    found_keys, found = artifact.matrix()

    assert found_keys.to_pylist() == ["a", "🍣", "b"]
    np.testing.assert_array_equal(found, matrix)


def test_integers_with_nulls_stay_integers(store: ArtifactStore) -> None:
    """A null in a column of integers does not round the others, which doubles beyond 2**53 would."""
    table = pa.table(
        {"id": pa.array([2**53 + 1, None, 2**53], pa.int64()), "small": pa.array([1, 2, None], pa.int16())}
    )
    with store.writing("raw_extract", "2024-01-01", "run-1") as artifact:
        artifact.write_table("rows", table)

    frame = artifact.frame("rows")

    assert frame["id"].dropna().tolist() == [2**53 + 1, 2**53]
    assert frame["id"].isna().tolist() == [False, True, False]
    assert frame["small"].dropna().tolist() == [1, 2]


def test_column_types_come_back(store: ArtifactStore) -> None:
    """Integers, numbers, booleans, text, dates and times have their types after Parquet."""
    frame = pd.DataFrame(
        {
            "id": np.array([1, 2], dtype=np.int64),
            "x": [0.5, np.nan],
            "active": [True, False],
            "country": ["UK", "🍣"],
            "seen": pd.to_datetime(["2024-01-01T12:00", "2024-02-01T00:00"], utc=True),
        }
    )
    with store.writing("raw_extract", "2024-01-01", "run-1") as artifact:
        artifact.write_table("rows", pa.Table.from_pandas(frame, preserve_index=False))

    pd.testing.assert_frame_equal(artifact.frame("rows"), frame, check_dtype=False)
    assert artifact.frame("rows").dtypes.map(lambda dtype: dtype.kind).tolist() == ["i", "f", "b", "O", "M"]


def test_not_a_number_is_null_in_json(store: ArtifactStore) -> None:
    """NaN and infinities, numpy's too, are null, so that any JSON reader can read the file."""
    value = {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": np.float64("nan"), "e": np.float32(-np.inf)}}
    with store.writing("raw_extract", "2024-01-01", "run-1") as artifact:
        artifact.write_json("figures", value)

    assert artifact.json("figures") == {"a": None, "b": [None, 1.5], "c": {"d": None, "e": None}}
    assert "NaN" not in (artifact.folder / "figures.json").read_text()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(2**53 + 1), 2**53 + 1),
        (np.bool_(True), True),
        (np.str_("🍣"), "🍣"),
        ((1, {2: "b"}), [1, {"2": "b"}]),
        (np.array([[1.0, np.nan], [3.0, 4.0]]), [[1.0, None], [3.0, 4.0]]),
        (np.array(3), 3),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02 03:00:00+00:00"),
        (pd.Timestamp("2024-01-02"), "2024-01-02 00:00:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (np.datetime64("NaT"), None),
        (None, None),
        (True, True),
    ],
)
def test_any_value_becomes_plain(value: object, expected: object) -> None:
    """Values of numpy, pandas and datetime become what JSON can hold, missing ones null."""
    found = to_plain(value)

    assert found == expected
    assert type(found) is type(expected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
@settings(deadline=None, max_examples=50)
def test_plain_values_are_strict_json(value: object) -> None:
    """Whatever the nesting, the result is JSON without NaN, and making it plain again changes nothing."""
    found = to_plain(value)

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert to_plain(found) == found


def test_text_and_json_versions_change_with_their_content() -> None:
    """A version is sixteen hexadecimal digits, the same for the same content in another order of names."""
    assert len(text_version("a")) == 16
    assert text_version("a") != text_version("b")
    assert json_version({"a": 1, "b": [2]}) == json_version({"b": [2], "a": 1})
    assert json_version({"a": 1, "b": [2]}) != json_version({"a": 1, "b": [3]})
    assert json_version([1, 2]) != json_version([2, 1])


SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("small", pa.int16()),
        ("x", pa.float64()),
        ("name", pa.string()),
        ("active", pa.bool_()),
        ("born", pa.date32()),
        ("seen", pa.timestamp("us", tz="UTC")),
    ]
)
VALUES = {
    "id": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(2**53, 2**53 + 3),
    "small": st.none() | st.integers(-(2**15), 2**15 - 1),
    "x": st.none() | st.floats(allow_nan=False),
    "name": st.none() | st.text(max_size=4) | st.sampled_from(["None", "nan", "", "🍣"]),
    "active": st.none() | st.booleans(),
    "born": st.none() | st.dates(),
    "seen": st.none() | st.datetimes(timezones=st.just(UTC)),
}
ROWS = st.lists(st.tuples(*VALUES.values()), min_size=1, max_size=8)


def _version(rows: list[tuple[Any, ...]], *, batch: int | None = None) -> str:
    """The version of rows that come in batches of a size."""
    version = RowsVersion(SCHEMA)
    for start in range(0, len(rows), batch or max(len(rows), 1)):
        some = rows[start : start + (batch or len(rows))]
        columns = [pa.array([row[index] for row in some], field.type) for index, field in enumerate(SCHEMA)]
        version.add(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
    return version.hexdigest


@given(rows=ROWS, data=st.data(), batch=st.integers(1, 8))
@settings(deadline=None, max_examples=50)
def test_the_version_of_rows_ignores_their_order(rows: list[tuple[Any, ...]], data: st.DataObject, batch: int) -> None:
    """The same rows in any order and in batches of any size have the same version, nulls of every type included."""
    shuffled = data.draw(st.permutations(rows))

    assert _version(shuffled, batch=batch) == _version(rows)


@given(rows=ROWS, data=st.data())
@settings(deadline=None, max_examples=50)
def test_the_version_of_rows_changes_with_any_value(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    """Another value in any place, a null for a value too, is another version."""
    position = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(VALUES) - 1))
    value = data.draw(list(VALUES.values())[column])
    old = rows[position][column]
    assume(value != old)
    changed = [*rows]
    changed[position] = (*rows[position][:column], value, *rows[position][column + 1 :])

    assert _version(changed) != _version(rows)


@given(rows=ROWS)
@settings(deadline=None, max_examples=30)
def test_the_version_of_rows_counts_them(rows: list[tuple[Any, ...]]) -> None:
    """A row twice, a row less and values of two rows exchanged are other versions."""
    assert _version([*rows, rows[0]]) != _version(rows)
    assert _version(rows[1:]) != _version(rows)


def test_keys_beyond_doubles_are_told_apart_beside_a_null() -> None:
    """Two keys that are the same double are other versions, also where another row's key is null."""
    rest = (1, 1.0, "a", True, None, None)

    assert _version([(2**53, *rest), (None, *rest)]) != _version([(2**53 + 1, *rest), (None, *rest)])


def test_values_in_the_other_row_are_another_version() -> None:
    """Two rows that exchange a value are other rows."""
    rest = (1, 1.0, "a", True, None, None)

    assert _version([(1, *rest), (2, *rest[:2], "b", *rest[3:])]) != _version(
        [(2, *rest), (1, *rest[:2], "b", *rest[3:])]
    )


def test_no_rows_have_a_version_and_it_knows_the_columns() -> None:
    """Empty data has a version, another one for other columns."""
    names = [RowsVersion(pa.schema([(name, pa.int64())])).hexdigest for name in ("a", "b")]
    types = [RowsVersion(pa.schema([("a", kind)])).hexdigest for kind in (pa.int64(), pa.string())]

    assert len({*names, *types}) == 3
    assert len(names[0]) == 16
