"""The exact privileges that a role needs, where passwords must not appear, and who may read the files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from support.three_groups import MONTHS, write_source

from segmentation_pipeline.storage.warehouse.postgres import connection as database
from segmentation_pipeline.storage.warehouse.postgres import target

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg
    from support.chain import Chain

    from segmentation_pipeline.storage.warehouse.base import WrittenSegments

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("segmentation")
ROLES = ("segmentation_reader", "segmentation_writer")
X = {"column": "x", "kind": "numeric"}
PUBLISH = {"table": "public.user_analytics", "key": "user_id", "updated_column": "last_updated"}
QUERY = "SELECT id, x + 100 * (id % 3) AS x FROM customers"


def _replace_user(url: str, user: str, password: str = "") -> str:
    """Return the URL of the same database for another user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}" if password else f"{user}@{host}"))


def _read_grants() -> list[str]:
    """Read the statements for the two roles from the page about operations."""
    page = (ROOT / "docs" / "operations.md").read_text()
    (block,) = [block for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if "segmentation_reader" in block]
    return [statement.strip() for statement in block.split(";") if statement.strip()]


@pytest.fixture
def roles(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """A source and a target, and the two documented roles with their grants and without the rights that everybody has."""
    chain.execute(
        "CREATE TABLE customers AS SELECT g AS id, mod(g, 17)::float8 / 10 AS x FROM generate_series(1, 300) g"
    )
    chain.execute(
        "CREATE TABLE user_analytics (user_id int PRIMARY KEY, secret text, segment_id int, last_updated timestamptz)"
    )
    chain.execute("INSERT INTO user_analytics SELECT generate_series(1, 300)")
    name = urlsplit(chain.url).path.removeprefix("/")
    with psycopg.connect(chain.url, autocommit=True) as owner:
        owner.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for statement in _read_grants():
            owner.execute(statement.replace("DATABASE shop", f'DATABASE "{name}"'))
        for variable, role in zip(("READER_URL", "WRITER_URL"), ROLES, strict=True):
            monkeypatch.setenv(variable, _replace_user(chain.url, role))
        monkeypatch.setenv("SEGMENTATION_DATABASE_URL", "postgresql://127.0.0.1:1/not-used")
        write_source(
            chain.defs, QUERY, features=[X], source={"query": QUERY, "key": "id", "url_env": "READER_URL"},
            publish={**PUBLISH, "url_env": "WRITER_URL"},
        )  # fmt: skip
        yield chain
        for role in ROLES:
            database._create_engine(_replace_user(chain.url, role)).dispose()
            owner.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(sql.Identifier(role)))


def test_two_roles_with_the_documented_grants_are_enough(roles: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month and a scoring succeed with exactly those privileges; one that is lost before the write ends in plain words."""
    for variable in ("READER_URL", "WRITER_URL"):
        with psycopg.connect(os.environ[variable]) as role:
            assert role.execute(
                "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
            ).fetchone() == (False, False)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                role.execute("SELECT secret FROM public.user_analytics")
    outcome = roles.run(MONTHS[0])
    assert outcome.success, outcome.problems
    assert outcome.changed == 300

    roles.execute("UPDATE customers SET x = x + 100 WHERE id = 3")
    assert _score(roles).success
    assert roles.rows("SELECT count(DISTINCT segment_id) FROM user_analytics WHERE user_id IN (3, 4)") == [(1,)]

    write = target.write_segments

    def revoke_and_write(*arguments: object, **named: object) -> WrittenSegments:
        roles.execute("REVOKE UPDATE ON user_analytics FROM segmentation_writer")
        roles.execute("REVOKE UPDATE (segment_id) ON user_analytics FROM segmentation_writer")
        return write(*arguments, **named)  # type: ignore[arg-type]  # as they came

    before = roles.rows("SELECT * FROM user_analytics ORDER BY 1")
    monkeypatch.setattr(target, "write_segments", revoke_and_write)
    refused = roles.run(MONTHS[1])
    assert not refused.success
    assert "permission denied for table user_analytics" in refused.problems[0]
    assert "Nothing of this step was kept" in refused.problems[0]
    assert roles.rows("SELECT * FROM user_analytics ORDER BY 1") == before
    assert roles.rows("SELECT status FROM segmentation.snapshot ORDER BY 1") == [("candidate",), ("published",)]


def _score(chain: Chain) -> dg.ExecuteInProcessResult:
    from segmentation_pipeline.orchestration.discovery import load_definitions

    return (
        load_definitions()
        .resolve_job_def("shop_score")
        .execute_in_process(instance=chain.instance, raise_on_error=False)
    )


@pytest.mark.parametrize(
    ("revoke", "said"),
    [
        ("SELECT ON customers FROM segmentation_reader", "permission denied for table customers"),
        (
            "UPDATE (segment_id) ON user_analytics FROM segmentation_writer",
            'GRANT UPDATE ("segment_id") ON "public"."user_analytics"',
        ),
        (
            "CONNECT ON DATABASE {database} FROM segmentation_reader",
            "READER_URL names cannot be reached",
        ),
    ],
)
def test_a_missing_grant_is_reported_before_the_work(roles: Chain, revoke: str, said: str) -> None:
    """Each of the grants is needed, and the message about a missing one names it."""
    name = urlsplit(roles.url).path.removeprefix("/")
    roles.execute(f"REVOKE {revoke.format(database=name)}")
    result = roles.materialize("raw_extract", MONTHS[0])
    assert not result.success
    assert said in result.failure_data_for_node("shop__raw_extract").user_failure_data.description


def test_files_are_open_to_their_owner_only(chain: Chain) -> None:
    """Even with a careless umask the home, its folders and the files of artifacts are closed to everybody else."""
    before = os.umask(0)
    try:
        for stage in ("raw_extract", "validated_rows", "encoded_features"):
            assert chain.materialize(stage, MONTHS[0]).success
    finally:
        os.umask(before)
    folder = Path(os.environ["SEGMENTATION_HOME"])
    assert folder.stat().st_mode & 0o777 == 0o700
    found = {path: path.stat().st_mode & 0o777 for path in (folder / "artifacts").rglob("*")}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert (folder / "artifacts").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_password_is_nowhere(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a success and failures of every kind no file, no output and no command line shows the URL's password."""
    password, written = "pa%40ss-w0rd", "pa@ss-w0rd"
    monkeypatch.setenv("SEGMENTATION_DATABASE_URL", _replace_user(chain.url, "postgres", password))
    shown, seen = [], set()

    def run(*arguments: str, code: int) -> None:
        process = subprocess.Popen([COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while process.poll() is None:
            for pid in Path("/proc").glob("[0-9]*"):
                try:
                    seen.add((pid / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:  # it ended
                    continue
            time.sleep(0.05)
        out, _ = process.communicate()
        shown.append(out)
        assert process.returncode == code, out

    run("run", "shop", "--partition", MONTHS[0], code=0)
    chain.execute("ALTER TABLE target RENAME COLUMN segment_id TO other_segment")
    run("run", "shop", "--partition", MONTHS[1], code=1)
    chain.execute("ALTER TABLE target RENAME COLUMN other_segment TO segment_id")
    chain.execute("ALTER TABLE facts RENAME TO gone")
    run("run", "shop", "--partition", MONTHS[1], code=1)
    run("score", "shop", code=1)
    for url in (_replace_user(chain.url, "nobody", password), f"postgresql://postgres:{password}@127.0.0.1:1/shop"):
        monkeypatch.setenv("SEGMENTATION_DATABASE_URL", url)
        run("status", "shop", code=1)
    run("run", "shop", "--partition", MONTHS[1], code=1)

    folder = Path(os.environ["SEGMENTATION_HOME"])
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)  # Dagster's event log is among them
    for secret in (password, written):
        assert secret not in "".join(shown)
        assert not [text for text in seen if secret in text]
        assert not [path for path in files if secret.encode() in path.read_bytes()]
    assert "Traceback" not in "".join(shown)
