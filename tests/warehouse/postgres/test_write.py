"""What a publication writes and counts, for any target: compared with the same worked out row by row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation_pipeline.spec import PublishSpec
from segmentation_pipeline.storage.warehouse.base import WrittenSegments
from segmentation_pipeline.storage.warehouse.postgres import write
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.target import PostgresTarget

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

    Rows = list[tuple[int | None, int | None]]

KEYS = st.integers(0, 12)
SEGMENTS = st.none() | st.integers(1, 3)
# a target may hold a key more than once, or none at all; a snapshot may not
TARGETS = st.lists(st.tuples(st.none() | KEYS, SEGMENTS), max_size=20)
SNAPSHOTS = st.dictionaries(KEYS, SEGMENTS, max_size=13)


def _write(
    engine: sa.Engine, held: Rows, wanted: dict[int, int | None], mode: str
) -> tuple[WrittenSegments, Rows, int, list[Any]]:
    """Write `wanted` to a target that holds these rows: its answer, the rows, the number of rows touched, the settings."""
    spec = PublishSpec(table="held", key="user", column="segment", updated_column="touched", mode=mode)
    with engine.connect() as connection:
        cursor = get_driver_connection(connection).cursor()
        cursor.execute('CREATE TABLE held ("user" bigint, segment integer, touched timestamptz)')
        cursor.executemany("INSERT INTO held VALUES (%s, %s, NULL)", held)
        cursor.execute("CREATE TABLE wanted (customer integer PRIMARY KEY, segment_id integer)")
        cursor.executemany("INSERT INTO wanted VALUES (%s, %s)", list(wanted.items()))
        written = [PostgresTarget(spec, connection).write("wanted", key="customer") for _ in range(2)]
        rows = cursor.execute('SELECT "user", segment FROM held').fetchall()
        ((touched,),) = cursor.execute("SELECT count(touched) FROM held").fetchall()
        settings_after = _settings(get_driver_connection(connection))
        connection.rollback()
    assert written[1].changed == 0  # a second time there is nothing to write
    return written[0], rows, touched, settings_after


@pytest.mark.parametrize("mode", ["update", "create"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(held=TARGETS, wanted=SNAPSHOTS)
def test_rows_and_counts_are_those_of_a_loop(
    engine: sa.Engine, mode: str, held: Rows, wanted: dict[int, int | None]
) -> None:
    """Each target row of a customer gets the segment, and changed, unchanged, missing and absent are counted."""
    written, rows, touched, _ = _write(engine, held, wanted, mode)
    after = [(key, wanted.get(key, segment)) for key, segment in held]
    missing = sorted(set(wanted) - {key for key, _ in held})
    created = [(key, wanted[key]) for key in missing] if mode == "create" else []
    assert Counter(rows) == Counter(after + created)
    known = [(key, segment) for key, segment in held if key in wanted]
    changed = sum(segment != wanted[key] for key, segment in known)
    examples = sorted(map(str, missing))[:3]
    assert written == WrittenSegments(
        changed=changed + len(created),
        unchanged=len(known) - changed,
        not_in_target=0 if created else len(missing),
        absent=sum(key not in wanted and segment is not None for key, segment in held),
        examples_not_in_target=() if created else tuple(examples),
    )
    assert touched == written.changed


@pytest.mark.parametrize("many", [write._MANY_ROWS, -2], ids=["few rows", "many rows"])
def test_the_settings_of_the_join_are_those_of_before(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """The server's settings for the join do not stay for the rest of the transaction."""
    monkeypatch.setattr(write, "_MANY_ROWS", many)
    with engine.connect() as connection:
        before = _settings(get_driver_connection(connection))
    *_, after = _write(engine, [(1, None)], {1: 1}, "update")
    assert after == before


def _settings(driver: psycopg.Connection[Any]) -> list[Any]:
    return [driver.execute(f"SHOW {name}").fetchall() for name in ("parallel_tuple_cost", "work_mem")]
