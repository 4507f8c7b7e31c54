"""Tables of the server: their names as a person writes them, and their columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from segmentation_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from segmentation_pipeline.storage.warehouse.base import Columns

# a part of a table's name that needs no quotes
_PLAIN: Final = re.compile("[a-z_][a-z0-9_$]*")


def split_table_name(table: str) -> tuple[str, str]:
    """Split `schema.table` (or `table`, in public); double quotes keep dots and capitals.

    Raises:
        ConfigurationError: there are more than two parts, or an empty one.
    """
    parts = list(_split_at_dots(table))
    if len(parts) == 1:
        parts.insert(0, "public")
    if len(parts) != 2 or not all(parts):
        message = f"{table!r} is not a table name; write schema.table"
        raise ConfigurationError(message)
    return parts[0], parts[1]


def _split_at_dots(table: str) -> Iterator[str]:
    part, quoted = "", False
    for character in table:
        if character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            yield part
            part = ""
        else:
            part += character
    yield part


def join_table_name(schema_name: str, name: str) -> str:
    """Return `schema.table` as a defs.yaml takes it: with quotes where a part needs them."""
    return ".".join(part if _PLAIN.fullmatch(part) else f'"{part}"' for part in (schema_name, name))


def read_columns(driver: psycopg.Connection[Any], schema_name: str, name: str) -> Columns:
    """Return the columns of a table or view, with SQL's names of their types; an empty dict where it does not exist."""
    rows = driver.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s "
        "AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        [schema_name, name],
    )
    return {str(column): str(kind) for column, kind in rows}
