"""What an error of the database means: whether the same may work a moment later, and in which words it is raised.

The server's errors have an SQLSTATE, and are decided by it: its sentences are in the language of `lc_messages`. libpq's
own errors have a sentence only, as have the server's while it refuses a connection.
"""

from __future__ import annotations

import re
from typing import Final

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from segmentation_pipeline.errors import (
    ConfigurationError,
    DatabaseError,
    TransientDatabaseError,
    UnreachableError,
)

CONNECT_SECONDS: Final = 10
# SQLSTATEs after which the same may work a moment later; class 08 too: the connection failed
_PASSING: Final = {
    "40001": "serialization failure", "40P01": "deadlock", "53300": "too many connections", "55P03": "lock timeout",
    "57P01": "shutdown", "57P02": "crash", "57P03": "starting up",
}  # fmt: skip
# libpq's own sentences, which its builds in the drivers' wheels never translate, and the server's where it refuses a
# connection
_PASSING_WORDS: Final = re.compile(
    r"terminating connection|server closed the connection|connection (is|was|has been|already) (lost|closed)"
    r"|connection (refused|reset|timed out|timeout expired)|could not (receive|send) data|no connection to the server"
    r"|timeout expired|no such file or directory|is (starting up|shutting down|not yet accepting)|in recovery mode"
    r"|too many (clients|connections)|deadlock detected|could not serialize|conflict with recovery",
    re.IGNORECASE,
)


def is_transient(error: BaseException) -> bool:
    """Return whether the same may work later: the server went away, is starting, or let another transaction pass."""
    state = getattr(error, "sqlstate", None)
    if state:
        return state in _PASSING or state.startswith("08")
    return _PASSING_WORDS.search(str(error)) is not None


def is_unavailable(url: str) -> bool:
    """Return whether the server at `url` answers that it takes no connections now: it starts, stops or recovers."""
    conninfo = make_conninfo(url, connect_timeout=CONNECT_SECONDS)
    return pq.PGconn.ping(conninfo.encode()) == pq.Ping.REJECT


def build_unreachable_error(variable: str, url: str, error: BaseException) -> ConfigurationError:
    """Return the error of a database that cannot be reached; libpq's words name the host, never the password."""
    words = describe_error(error)
    message = f"the database that {variable} names cannot be reached: {words}. Is it running, is the URL right?"
    if is_transient(error) or is_unavailable(url):
        return UnreachableError(message)
    return ConfigurationError(message)


def build_refusal(error: BaseException, *, lost: bool = False) -> DatabaseError:
    """Return the error of a transaction that the server ended or refused a statement of."""
    words = describe_error(error)
    # over an open connection only libpq raises errors without an SQLSTATE: the connection is lost
    if lost or is_transient(error) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
        message = f"PostgreSQL ended the transaction: {words}. Nothing of this step was kept; run the step again."
        return TransientDatabaseError(message)
    message = f"PostgreSQL refused: {words}. Nothing of this step was kept; correct it and run the step again."
    return DatabaseError(message)


def describe_error(error: BaseException) -> str:
    """Return an error's words in one line, without anything that looks like a URL."""
    details = dict(getattr(error, "details", None) or ())  # ADBC's: the server's fields
    primary = details.get(b"PG_DIAG_MESSAGE_PRIMARY")
    words = primary.decode(errors="replace") if primary else str(error)
    return re.sub(r"postgres(ql)?(\+\w+)?://\S+", "the database", " ".join(words.split()))
