"""Connections: from an environment variable's name to an engine, without ever showing a URL."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from segmentation_pipeline.errors import (
    ConfigurationError,
    DatabaseError,
    TransientDatabaseError,
    UnreachableError,
)
from segmentation_pipeline.runtime.home import make_home
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE, read_database_url
from segmentation_pipeline.storage.warehouse.postgres.embedded import embedded_url

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION: Final = "segmentation_pipeline"
# SQLSTATEs after which the same may work a moment later; class 08 too: the connection failed
_PASSING: Final = {
    "40001": "serialization failure", "40P01": "deadlock", "53300": "too many connections", "55P03": "lock timeout",
    "57P01": "shutdown", "57P02": "crash", "57P03": "starting up",
}  # fmt: skip
# libpq's own errors, and those that arrive through Arrow, have words only
_PASSING_WORDS: Final = re.compile(
    r"terminating connection|server closed the connection|connection (is|was|has been|already) (lost|closed)"
    r"|connection (refused|reset|timed out|timeout expired)|could not (receive|send) data|no connection to the server"
    r"|timeout expired|no such file or directory|is (starting up|shutting down|not yet accepting)|in recovery mode"
    r"|too many (clients|connections)|deadlock detected|could not serialize|conflict with recovery",
    re.IGNORECASE,
)


def resolve_url(variable: str = DATABASE_VARIABLE) -> str:
    """The libpq URL that the environment `variable` holds; the embedded server's if the default one is unset.

    Raises:
        ConfigurationError: the variable is unset or holds no PostgreSQL URL.
    """
    value = read_database_url(variable)
    if value is None:
        if variable == DATABASE_VARIABLE:
            return embedded_url(make_home())
        message = f"the environment variable {variable} is not set; it must hold a postgresql:// URL"
        raise ConfigurationError(message)
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
        message = f"the environment variable {variable} must hold a URL that begins with postgresql://"
        raise ConfigurationError(message)
    if not _readable(f"postgresql://{rest}"):
        message = (
            f"the environment variable {variable} holds a URL that cannot be read. In its user and password, write "
            "%40 for @, %2F for /, %3A for :, %25 for %, %23 for #."
        )
        raise ConfigurationError(message)
    return f"postgresql://{rest}"


def _readable(url: str) -> bool:
    """Whether libpq takes the URL apart as it was meant; what libpq says of one it cannot read shows the password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    ports = str(parts.get("port") or "").split(",")
    return "@" not in str(parts.get("host") or "") and all(port.isdigit() or not port for port in ports)


def get_engine(variable: str = DATABASE_VARIABLE) -> sa.Engine:
    """The engine of the database that `variable` names.

    Raises:
        ConfigurationError: the variable is unset or holds no PostgreSQL URL.
    """
    return _create_engine(resolve_url(variable))


@cache
def _create_engine(url: str) -> sa.Engine:
    return sa.create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        connect_args={"application_name": APPLICATION, "connect_timeout": 10, "client_encoding": "UTF8"},
        pool_pre_ping=True,
        hide_parameters=True,
    )


def get_driver_connection(connection: sa.Connection) -> psycopg.Connection[tuple[object, ...]]:
    """The psycopg connection beneath, inside the same transaction, for COPY."""
    return connection.connection.driver_connection  # type: ignore[return-value]  # typed as Any by SQLAlchemy


@contextmanager
def transaction(variable: str = DATABASE_VARIABLE) -> Iterator[sa.Connection]:
    """One transaction on the database that `variable` names; an error rolls it back.

    Raises:
        ConfigurationError: the database cannot be reached; UnreachableError where it may be later.
        DatabaseError: it refused a statement; TransientDatabaseError where it went away or ended a deadlock.
    """
    try:
        connection = get_engine(variable).connect()
    except sa.exc.OperationalError as error:
        raise build_unreachable_error(variable, error.orig or error) from error
    try:
        with connection, connection.begin():
            yield connection
    except sa.exc.DBAPIError as error:
        raise _build_refusal(error.orig or error, lost=error.connection_invalidated) from error
    except psycopg.Error as error:  # of COPY, which goes past SQLAlchemy
        raise _build_refusal(error) from error


def is_transient(error: BaseException) -> bool:
    """Whether what the database said may pass by itself: it went away, is starting, or let another go first."""
    state = getattr(error, "sqlstate", None)
    if state:
        return state in _PASSING or state.startswith("08")
    return _PASSING_WORDS.search(str(error)) is not None


def build_unreachable_error(variable: str, error: BaseException) -> ConfigurationError:
    """Return the error of a database that cannot be reached; libpq's words name the host, never the password."""
    words = describe_error(error)
    message = f"the database that {variable} names cannot be reached: {words}. Is it running, is the URL right?"
    return UnreachableError(message) if is_transient(error) else ConfigurationError(message)


def describe_error(error: BaseException) -> str:
    """An error's words in one line, without anything that looks like a URL."""
    return re.sub(r"postgres(ql)?(\+\w+)?://\S+", "the database", " ".join(str(error).split()))


def _build_refusal(error: BaseException, *, lost: bool = False) -> DatabaseError:
    """Return the error of a transaction that the server ended, or refused a statement of."""
    words = describe_error(error)
    if lost or is_transient(error):
        message = f"PostgreSQL ended the transaction: {words}. Nothing of this step was kept; run the step again."
        return TransientDatabaseError(message)
    message = f"PostgreSQL refused: {words}. Nothing of this step was kept; correct it and run the step again."
    return DatabaseError(message)
