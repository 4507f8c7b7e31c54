"""`<name>_rejected`: the rows that the validation refused, each with every reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from psycopg import sql

from segmentation_pipeline.model.json import to_plain
from segmentation_pipeline.storage.registry.tables import has_table, name_rejected_table
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from segmentation_pipeline.storage.registry.connection import Connection


def delete_rejected(connection: Connection, name: str, *, before: str) -> int:
    """Delete the rejected rows of the partitions before `before`, and return their number."""
    table = name_rejected_table(name)
    if not has_table(connection, table):
        return 0
    statement = sql.SQL('DELETE FROM {} WHERE partition COLLATE "C" < %s').format(table)
    return get_driver_connection(connection).execute(statement, [before]).rowcount


def clear_rejected(connection: Connection, name: str, *, run_id: str, partition: str | None = None) -> None:
    """Delete the rejected rows that the same run wrote before, and those that any run wrote for `partition`."""
    table = name_rejected_table(name)
    cursor = get_driver_connection(connection).cursor()
    cursor.execute(sql.SQL("DELETE FROM {} WHERE run_id = %s").format(table), [run_id])
    if partition is not None:
        cursor.execute(sql.SQL("DELETE FROM {} WHERE partition = %s").format(table), [partition])


def record_rejected(
    connection: Connection,
    name: str,
    *,
    run_id: str,
    partition: str,
    key: str,
    rejected: pd.DataFrame,
    reasons: Sequence[Sequence[str]],
    store_rows: bool,
) -> None:
    """Append the rejected rows of a run, each with every reason; `store_rows` keeps the row itself too."""
    if rejected.empty:
        return
    table = name_rejected_table(name)
    statement = sql.SQL('COPY {} (run_id, partition, key, reasons, "row") FROM STDIN').format(table)
    with get_driver_connection(connection).cursor().copy(statement) as copy:
        for row, why in zip(rejected.to_dict("records"), reasons, strict=True):
            value = to_plain(row[key])
            stored = json.dumps(to_plain(row)) if store_rows else None
            copy.write_row((run_id, partition, None if value is None else str(value), list(why), stored))
