"""Erasing one customer from the tables of a segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from segmentation_pipeline.storage.registry.tables import (
    has_table,
    name_assignment_table,
    name_rejected_table,
    name_scored_table,
)
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.types import to_compared_type

if TYPE_CHECKING:
    from segmentation_pipeline.storage.registry.connection import Connection
    from segmentation_pipeline.storage.registry.snapshots import Ledger


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """The number of rows that were deleted from the history, the scored and the rejected rows."""

    history: int
    scored: int
    rejected: int


def erase_rows(connection: Connection, ledger: Ledger, key: int | str) -> ErasedRows:
    """Delete the rows of the customer `key`."""
    kind = to_compared_type(ledger.key_type)
    cursor = get_driver_connection(connection).cursor()

    def delete(table: sql.Identifier, column: str, value: int | str, kind: str) -> int:
        if not has_table(connection, table):
            return 0
        statement = sql.SQL("DELETE FROM {} WHERE {} = %s::{}").format(table, sql.Identifier(column), sql.SQL(kind))
        return cursor.execute(statement, [value]).rowcount

    return ErasedRows(
        history=delete(name_assignment_table(ledger.name), ledger.key_name, key, kind),
        scored=delete(name_scored_table(ledger.name), ledger.key_name, key, kind),
        rejected=delete(name_rejected_table(ledger.name), "key", str(key), "text"),
    )
