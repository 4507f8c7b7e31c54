"""The errors of a database, and whether the same may work a moment later."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

from segmentation_pipeline.errors import ConfigurationError, DatabaseError, TransientDatabaseError, UnreachableError
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction
from segmentation_pipeline.storage.warehouse.postgres.failures import build_refusal, is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa


@pytest.mark.parametrize(
    "error",
    [
        errors.DeadlockDetected(),
        errors.SerializationFailure(),
        errors.AdminShutdown(),
        errors.CannotConnectNow(),
        errors.TooManyConnections(),
        errors.ConnectionFailure(),
        psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"),
        psycopg.OperationalError("the connection is lost"),
        psycopg.OperationalError("connection failed: FATAL:  the database system is starting up"),
        psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"),
        psycopg.OperationalError('connection to server at "127.0.0.1", port 1 failed: Connection refused'),
        OSError(
            "[libpq] Execution error [PGRES_FATAL_ERROR]: FATAL:  terminating connection due to administrator command"
        ),
        OSError("[libpq] Execution error: ERROR:  canceling statement due to conflict with recovery"),
    ],
    ids=str,
)
def test_what_may_pass_is_known(error: Exception) -> None:
    """A restart, a full server, a deadlock, a lost connection: by SQLSTATE where there is one, by its words elsewhere."""
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        errors.QueryCanceled("canceling statement due to statement timeout"),
        errors.InsufficientPrivilege("permission denied for table target"),
        errors.DiskFull("could not extend file"),
        errors.UndefinedTable(),
        psycopg.OperationalError('connection failed: FATAL:  password authentication failed for user "ann"'),
        psycopg.OperationalError('connection failed: FATAL:  database "nowhere" does not exist'),
        psycopg.OperationalError("failed to resolve host 'nohost': Name or service not known"),
        OSError("[libpq] Execution error [PGRES_FATAL_ERROR]: ERROR:  canceling statement due to statement timeout"),
        OSError("[libpq] Execution error [PGRES_FATAL_ERROR]: ERROR:  division by zero"),
    ],
    ids=str,
)
def test_what_will_not_pass_is_known(error: Exception) -> None:
    """A timeout, a privilege, a full disk, a wrong password or name are the same a moment later."""
    assert not is_transient(error)


# a server in a process of its own (libpq's ping lets no other thread run) that answers every connection with an error;
# a question for encryption comes before the startup
REFUSING_SERVER = r"""
import socket, struct, sys
code, words = sys.argv[1:]
fields = (("S", "FATAL"), ("V", "FATAL"), ("C", code), ("M", words))
message = b"".join(f"{letter}{text}\0".encode() for letter, text in fields) + b"\0"
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        client, _ = server.accept()
        with client:
            while header := client.recv(8, socket.MSG_WAITALL):
                length, kind = struct.unpack("!ii", header)
                client.recv(length - 8, socket.MSG_WAITALL)
                if kind not in {80877103, 80877104}:
                    client.sendall(b"E" + struct.pack("!i", len(message) + 4) + message)
                    break
                client.sendall(b"N")
"""


@contextmanager
def _refusing_server(code: str, words: str) -> Iterator[str]:
    """The URL of a server that answers every connection with an error of this SQLSTATE and these words."""
    command = [sys.executable, "-c", REFUSING_SERVER, code, words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"postgresql://127.0.0.1:{int(server.stdout.readline())}/shop"
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("57P03", "das Datenbanksystem startet", UnreachableError),
        ("3D000", "Datenbank »shop« existiert nicht", ConfigurationError),
        ("28P01", "Passwort-Authentifizierung fehlgeschlagen", ConfigurationError),
    ],
)
def test_a_server_that_starts_is_known_in_any_language(
    monkeypatch: pytest.MonkeyPatch, code: str, words: str, kind: type[ConfigurationError]
) -> None:
    """A server that takes no connections yet is tried again later, in any language."""
    with _refusing_server(code, words) as url:
        monkeypatch.setenv("FOREIGN_URL", url)
        with pytest.raises(ConfigurationError, match=words) as caught:
            _run("FOREIGN_URL")
    assert type(caught.value) is kind


def test_a_lost_connection_is_known_in_any_language() -> None:
    """Over an open connection an error without an SQLSTATE is libpq's own, and the connection is lost."""
    lost = psycopg.OperationalError("die Verbindung wurde unerwartet geschlossen")
    assert isinstance(build_refusal(lost), TransientDatabaseError)
    assert not isinstance(build_refusal(errors.UndefinedTable("does not exist")), TransientDatabaseError)


def test_a_database_that_does_not_answer_differs_from_one_that_refuses(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server at the URL may be a restart; a database that does not exist is a wrong URL."""
    monkeypatch.setenv("GONE_URL", "postgresql://127.0.0.1:1/shop")
    monkeypatch.setenv("WRONG_URL", engine.url.set(drivername="postgresql", database="nowhere").render_as_string())
    with pytest.raises(UnreachableError, match="GONE_URL names cannot be reached"):
        _run("GONE_URL")
    with pytest.raises(ConfigurationError, match=r"WRONG_URL names cannot be reached.*does not exist") as caught:
        _run("WRONG_URL")
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("second", "kind", "said"),
    [
        ("SELECT FROM nowhere", DatabaseError, 'PostgreSQL refused: relation "nowhere" does not exist'),
        ("SELECT pg_terminate_backend(pg_backend_pid())", TransientDatabaseError, "PostgreSQL ended the transaction"),
    ],
)
def test_a_statement_that_is_refused_is_not_a_lost_connection(
    engine: sa.Engine, second: str, kind: type[DatabaseError], said: str
) -> None:
    """A refused statement and an ended connection are errors of their own kinds, and both roll back."""
    with pytest.raises(DatabaseError, match=said) as caught:
        _run(DATABASE_VARIABLE, "CREATE TABLE half (id int)", second)
    assert type(caught.value) is kind
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT to_regclass('half')").scalar() is None


def _run(variable: str, *statements: str) -> None:
    with transaction(variable) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
