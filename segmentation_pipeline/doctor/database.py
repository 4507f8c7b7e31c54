"""What a role may do in a PostgreSQL database, found without changing anything: the server, and parts of the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from segmentation_pipeline.doctor.check import Check
from segmentation_pipeline.errors import SegmentationError
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE, read_database_url
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection, transaction

if TYPE_CHECKING:
    from typing import TypeAlias

    Driver: TypeAlias = psycopg.Connection[Any]

# the oldest that still gets fixes
OLDEST: Final = 140_000


def check_server(variable: str) -> Check:
    """Check that the database that `variable` names answers and is new enough."""
    embedded = variable == DATABASE_VARIABLE and read_database_url(variable) is None
    what = "embedded" if embedded else variable
    try:
        with transaction(variable) as connection:
            row = get_driver_connection(connection).execute(
                "SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_user"
            ).fetchone()  # fmt: skip
    except SegmentationError as error:
        return Check(what, ok=False, found=str(error), fix=describe_url_fix(variable, embedded=embedded))
    number, version, role = row if row is not None else (0, "unknown", "")
    return Check(
        what,
        ok=int(str(number)) >= OLDEST,
        found=f"PostgreSQL {str(version).split()[0]}, as {role}",
        fix=f"upgrade the server: PostgreSQL {OLDEST // 10_000} is the oldest that still gets fixes",
    )


def describe_url_fix(variable: str, *, embedded: bool = False) -> str:
    """Return what to do where the database that `variable` names does not answer."""
    if embedded:
        return f"pip install 'segmentation-pipeline[embedded]', or export {variable}=postgresql://USER@HOST/DATABASE"
    return f"start the server, or correct it: export {variable}=postgresql://USER@HOST/DATABASE"


def make_problem(driver: Driver, what: str, found: str, statement: sql.Composable, *, also: str = "") -> Check:
    """Return the check of a problem that the owner solves by a statement."""
    fix = f"as its owner, run:  {statement.as_string(driver)}" + (f"  {also}" if also else "")
    return Check(what, ok=False, found=found, fix=fix)


def read_role(driver: Driver) -> sql.Identifier:
    """Return the name of the role that is connected."""
    return sql.Identifier(str(read_value(driver, "SELECT current_user")))


def read_value(driver: Driver, query: str, *parameters: object) -> object:
    """Return the first column of the first row; None where there is no row."""
    row = driver.execute(query, parameters).fetchone()
    return row[0] if row is not None else None
