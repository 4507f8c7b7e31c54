"""`segmentation doctor`: a line per check, the fix of each problem, the exit code, and no password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from click.testing import CliRunner
from support.three_groups import write_defs, write_source

from segmentation_pipeline.cli import main
from segmentation_pipeline.runtime.home import make_dagster_home, make_home

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from click.testing import Result
    from support.chain import Chain


def _doctor(*names: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *names])


def test_all_is_well(chain: Chain) -> None:
    """A source that can be read and a target that can be written: every line is ok, and the exit code 0."""
    make_dagster_home(make_home())
    done = _doctor()

    assert done.exit_code == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == [lines[-1]]
    assert re.fullmatch(r"\d+ checks, all well", lines[-1])
    for expected in (
        "machine: python", "machine: packages", "machine: memory", "machine: disk", "machine: artifacts",
        "machine: dagster home", "machine: dagster.yaml", "defs: segmentations", "database: SEGMENTATION_DATABASE_URL",
        "shop: source", "shop: target", "shop: segmentation schema",
    ):  # fmt: skip
        assert any(line.startswith(f"ok      {expected} ") for line in lines), expected
    assert not any(len(line) != len(line.encode()) for line in lines)  # plain when piped


def test_each_problem_comes_with_its_fix(chain: Chain) -> None:
    """Exit code 1, and below each problem what to run."""
    make_home().chmod(0o755)
    chain.execute("ALTER TABLE target DROP COLUMN segment_id")
    write_source(chain.defs, "SELECT customer_id AS id, visits FROM facts", features=[{"column": "visit", "kind": "numeric"}],
                 publish={"table": "public.target", "key": "user_id"})  # fmt: skip
    done = _doctor()

    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1].startswith("3 of ")
    problems = re.findall(r"^problem (.*?)\s{2,}(.*)\n +fix: (.*)$", done.stdout, re.MULTILINE)
    assert problems == [
        ("machine: home", f"{make_home()} is open to everybody (mode 755)", f"chmod 700 {make_home()}"),
        ("shop: source", "there is no column visit (visits?)", "the source has id, visits; correct the defs.yaml, or add what is missing to the query"),
        ("shop: target", "public.target lacks segment_id", 'as its owner, run:  ALTER TABLE "public"."target" ADD COLUMN "segment_id" integer;'),
    ]  # fmt: skip


def test_a_wrong_yaml_and_a_dead_database_are_told_together(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """One problem hides no other, and the URL is in none."""
    monkeypatch.setenv("SEGMENTATION_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:1/nowhere")
    path: Path = chain.defs / "shop" / "defs.yaml"
    path.write_text(path.read_text().replace("features:", "fetures:"))
    done = _doctor()

    assert done.exit_code == 1
    assert "fetures: there is no such field; did you mean features?" in done.stdout
    assert "problem database: SEGMENTATION_DATABASE_URL" in done.stdout
    assert "s3cret" not in done.output
    assert "Traceback" not in done.output


def test_without_a_segmentation_it_says_how_to_start(chain: Chain) -> None:
    """An empty folder is not a problem; the machine and the database are checked all the same."""
    (chain.defs / "shop" / "defs.yaml").unlink()
    done = _doctor()

    assert done.exit_code == 0, done.stdout
    assert "none yet: segmentation init NAME --table SCHEMA.TABLE --key COLUMN" in done.stdout
    assert "database: SEGMENTATION_DATABASE_URL" in done.stdout


def test_one_segmentation_can_be_looked_at_alone(chain: Chain) -> None:
    """A problem of another one does not count; an unknown name is wrong usage."""
    write_defs(chain.defs, "other", column="gone")

    assert _doctor().exit_code == 1
    alone = _doctor("shop")
    assert alone.exit_code == 0, alone.stdout
    assert "other:" not in alone.stdout
    assert _doctor("shpo").exit_code == 2


def test_a_demo_that_was_never_seeded_is_no_problem(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person with a table of their own does not need the synthetic shop that the package brings."""
    monkeypatch.delenv("SEGMENTATION_DEFS")
    done = _doctor("shop")

    assert done.exit_code == 0, done.stdout
    assert "shop: the demo" in done.stdout
    assert "`segmentation demo` does it" in done.stdout


def test_a_missing_demo_is_known_by_the_server_s_code(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says it in German means the same, and another problem of the demo that it calls missing does not."""
    monkeypatch.delenv("SEGMENTATION_DEFS")
    chain.execute("CREATE SCHEMA shop")
    chain.execute(
        "CREATE FUNCTION shop.fail() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'Relation »shop.customer« existiert nicht' USING ERRCODE = 'undefined_table'; END $$"
    )
    chain.execute(
        "CREATE VIEW shop.customer AS SELECT shop.fail() AS customer_id, now() AS joined_at, ''::text AS country"
    )
    chain.execute(
        "CREATE TABLE shop.purchase (purchase_id bigint, customer_id bigint, ordered_at timestamptz, "
        "amount numeric, discount numeric, items integer, channel text)"
    )
    done = _doctor("shop")
    assert done.exit_code == 0, done.stdout
    assert "shop: the demo" in done.stdout

    chain.execute("DROP VIEW shop.customer; CREATE TABLE shop.customer (customer_id bigint)")
    done = _doctor("shop")
    assert done.exit_code == 1
    assert re.search(r"problem shop: source +column .* does not exist", done.stdout), done.stdout
