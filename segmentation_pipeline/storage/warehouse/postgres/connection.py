"""Connections: from an environment variable's name to an open transaction, without ever showing a URL."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.runtime.home import make_home
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE, read_database_url
from segmentation_pipeline.storage.warehouse.postgres.embedded import start_embedded
from segmentation_pipeline.storage.warehouse.postgres.failures import (
    CONNECT_SECONDS,
    build_refusal,
    build_unreachable_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION: Final = "segmentation_pipeline"
SCHEMES: Final = ("postgresql", "postgres")


def resolve_url(variable: str = DATABASE_VARIABLE) -> str:
    """Return the libpq URL that `variable` holds; the embedded server's where the default variable is not set.

    Raises:
        ConfigurationError: the variable is not set, or does not hold a PostgreSQL URL.
    """
    value = read_database_url(variable)
    if value is None:
        if variable == DATABASE_VARIABLE:
            return start_embedded(make_home())
        message = f"the environment variable {variable} is not set; it must hold a postgresql:// URL"
        raise ConfigurationError(message)
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.partition("+")[0] not in SCHEMES:
        message = f"the environment variable {variable} must hold a URL that begins with postgresql://"
        raise ConfigurationError(message)
    if not _is_readable(f"postgresql://{rest}"):
        message = (
            f"the environment variable {variable} holds a URL that cannot be read. In its user and password, write "
            "%40 for @, %2F for /, %3A for :, %25 for %, %23 for #."
        )
        raise ConfigurationError(message)
    return f"postgresql://{rest}"


def _is_readable(url: str) -> bool:
    """Return whether libpq reads the URL as it was meant; libpq's own message for such a URL shows the password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    ports = str(parts.get("port") or "").split(",")
    return "@" not in str(parts.get("host") or "") and all(port.isdigit() or not port for port in ports)


def get_engine(variable: str = DATABASE_VARIABLE) -> sa.Engine:
    """Return the engine of the database that `variable` names; there is one per URL.

    Raises:
        ConfigurationError: the variable is not set, or does not hold a PostgreSQL URL.
    """
    return _create_engine(resolve_url(variable))


@cache
def _create_engine(url: str) -> sa.Engine:
    return sa.create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        connect_args={"application_name": APPLICATION, "connect_timeout": CONNECT_SECONDS, "client_encoding": "UTF8"},
        pool_pre_ping=True,
        hide_parameters=True,
    )


def get_driver_connection(connection: sa.Connection) -> psycopg.Connection[tuple[object, ...]]:
    """Return the psycopg connection below SQLAlchemy's, in the same transaction, for COPY."""
    return connection.connection.driver_connection  # type: ignore[return-value]  # typed as Any by SQLAlchemy


@contextmanager
def transaction(variable: str = DATABASE_VARIABLE) -> Iterator[sa.Connection]:
    """Open a transaction on the database that `variable` names; an error rolls it back.

    Raises:
        ConfigurationError: the database cannot be reached; UnreachableError where it may be later.
        DatabaseError: it refused a statement; TransientDatabaseError where it went away or ended a deadlock.
    """
    url = resolve_url(variable)
    try:
        connection = _create_engine(url).connect()
    except sa.exc.OperationalError as error:
        raise build_unreachable_error(variable, url, error.orig or error) from error
    try:
        with connection, connection.begin():
            yield connection
    except sa.exc.DBAPIError as error:
        raise build_refusal(error.orig or error, lost=error.connection_invalidated) from error
    except psycopg.Error as error:  # of COPY, which goes past SQLAlchemy
        raise build_refusal(error) from error
