"""Connections: from an environment variable's name to an engine, without ever showing a URL."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from segmentation_pipeline.errors import ConfigurationError, DatabaseError
from segmentation_pipeline.storage.embedded import embedded_url
from segmentation_pipeline.storage.home import home

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_VARIABLE: Final = "SEGMENTATION_DATABASE_URL"
APPLICATION: Final = "segmentation_pipeline"


def database_url(variable: str = DEFAULT_VARIABLE) -> str:
    """The libpq URL that the environment `variable` holds; the embedded server's if the default one is unset.

    Raises:
        ConfigurationError: the variable is unset or holds no PostgreSQL URL.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        if variable == DEFAULT_VARIABLE:
            return embedded_url(home())
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


def engine(variable: str = DEFAULT_VARIABLE) -> sa.Engine:
    """The engine of the database that `variable` names.

    Raises:
        ConfigurationError: the variable is unset or holds no PostgreSQL URL.
    """
    return _engine(database_url(variable))


@cache
def _engine(url: str) -> sa.Engine:
    return sa.create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        connect_args={"application_name": APPLICATION, "connect_timeout": 10},
        pool_pre_ping=True,
        hide_parameters=True,
    )


def driver_connection(connection: sa.Connection) -> psycopg.Connection[tuple[object, ...]]:
    """The psycopg connection beneath, inside the same transaction, for COPY."""
    return connection.connection.driver_connection  # type: ignore[return-value]  # typed as Any by SQLAlchemy


def qualified(table: str) -> tuple[str, str]:
    """Split `schema.table` (or `table`, in public); double quotes keep dots and capitals.

    Raises:
        ConfigurationError: there are more parts than two, or an empty one.
    """
    parts = list(_parts(table))
    if len(parts) == 1:
        parts.insert(0, "public")
    if len(parts) != 2 or not all(parts):
        message = f"{table!r} is not a table name; write schema.table"
        raise ConfigurationError(message)
    return parts[0], parts[1]


def _parts(table: str) -> Iterator[str]:
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


@contextmanager
def begin(variable: str = DEFAULT_VARIABLE) -> Iterator[sa.Connection]:
    """One transaction on the database that `variable` names; an error rolls it back.

    Raises:
        ConfigurationError: the database cannot be reached.
        DatabaseError: it refused a statement, or went away.
    """
    try:
        connection = engine(variable).connect()
    except sa.exc.OperationalError as error:
        raise ConfigurationError(unreachable(variable, error.orig or error)) from error
    try:
        with connection, connection.begin():
            yield connection
    except sa.exc.DBAPIError as error:
        raise DatabaseError(_refused(error.orig or error)) from error
    except psycopg.Error as error:  # of COPY, which goes past SQLAlchemy
        raise DatabaseError(_refused(error)) from error


def unreachable(variable: str, error: BaseException) -> str:
    """What to say of a database that does not answer; libpq's words name the host, never the password."""
    return f"the database that {variable} names cannot be reached: {one_line(error)}. Is it running, is the URL right?"


def one_line(error: BaseException) -> str:
    """An error's words in one line, without anything that looks like a URL."""
    return re.sub(r"postgres(ql)?(\+\w+)?://\S+", "the database", " ".join(str(error).split()))


def _refused(error: BaseException) -> str:
    return f"PostgreSQL refused: {one_line(error)}. Nothing of this step was kept; mend it and run the step again."
