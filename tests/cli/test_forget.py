"""Erasing a customer everywhere, and applying the retention settings, from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.three_groups import MONTHS, write_defs, write_source

from segmentation_pipeline.cli import main
from segmentation_pipeline.cli.views import describe_publication
from segmentation_pipeline.orchestration.discovery import segmentations
from segmentation_pipeline.runtime.home import make_dagster_home, make_home

if TYPE_CHECKING:
    from click.testing import Result
    from support.chain import Chain

KEY = 'zq\'🛒 "17"'
QUERY = """
SELECT CASE WHEN g = 17 THEN E'zq\\'🛒 "17"' ELSE 'customer ' || g END AS id,
       CASE WHEN g = 17 AND :window_start::date = '2024-02-01' THEN NULL ELSE (g % 3) * 100 + (g % 17)::float8 / 10 END AS x
FROM generate_series(1, 300) g
"""
PUBLISH = {"table": "public.target", "key": "user_id", "updated_column": "last_updated"}


@pytest.fixture
def texts(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The chain with a source of text keys, one of which is hard to write and rejected in the second month."""
    monkeypatch.setenv("DAGSTER_HOME", str(make_dagster_home(make_home())))
    chain.execute("DROP TABLE target")
    chain.execute("CREATE TABLE target (user_id text PRIMARY KEY, segment_id integer, last_updated timestamptz)")
    chain.execute("INSERT INTO target SELECT 'customer ' || g FROM generate_series(1, 300) g WHERE g <> 17")
    write_source(chain.defs, QUERY, features=[{"column": "x", "kind": "numeric"}], publish=PUBLISH)
    return chain


def _run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def _mentions(chain: Chain) -> set[str]:
    """Every table of ours and every file of an artifact in which the key stands."""
    found = set()
    for (table,) in chain.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'segmentation'::regnamespace"
    ):
        text = "\n".join(str(value) for row in chain.rows(f"SELECT * FROM {table}") for value in row)
        if KEY in text or repr(KEY) in text:
            found.add(table)
    for path in segmentations()["shop"].store.root.rglob("*"):
        if path.suffix == ".parquet":
            text = str(pq.read_table(path).to_pylist())
        elif path.suffix == ".arrow":
            with pa.memory_map(str(path)) as source:
                text = str(pa.ipc.open_file(source).read_all().column(0).to_pylist())
        else:
            text = str(json.loads(path.read_text())) if path.suffix == ".json" else ""
        if repr(KEY) in text or KEY in text:
            found.add("/".join(path.parts[-4::3]))
    return found


def test_a_customer_is_erased_everywhere_we_keep_them(texts: Chain) -> None:
    """After forget no table and no artifact names the customer, the target's segment is empty, the others stay."""
    first, second = (texts.run(month) for month in MONTHS[:2])
    assert (first.problems, second.problems) == ((), ())
    assert describe_publication(first).endswith(f", 1 customers are not in the target, for example {KEY}")
    assert "not in the target" not in describe_publication(second)
    texts.execute("INSERT INTO target VALUES (%s, 3, now())", KEY)
    current = texts.rows("SELECT current_snapshot_id FROM segmentation.segmentation")[0][0]
    texts.execute("INSERT INTO segmentation.shop_scored VALUES (%s, %s, 1, 0.5, 2, 0.5, now())", KEY, current)
    store = segmentations()["shop"].store
    (store.root / "raw_extract" / MONTHS[0] / ".killed.partial-1").mkdir()
    others = texts.rows("SELECT * FROM target WHERE user_id <> %s ORDER BY 1", KEY)
    assert _mentions(texts) == {
        "segmentation.shop_assignment_1", "segmentation.shop_scored", "segmentation.shop_rejected",
        "raw_extract/rows.parquet", "validated_rows/rows.parquet", "encoded_features/matrix.arrow",
        "final_fit/labels.parquet", "aligned_segments/assignments.parquet", "published_segments/receipt.json",
    }  # fmt: skip

    done = _run("forget", "shop", KEY)

    assert done.exit_code == 0, done.output
    assert "1 rows of the history, 1 scored, 1 rejected; segment emptied in 1 rows of public.target" in done.output
    assert "encoded_features/2024-01-01/" in done.output
    assert "comes back with the next run" in done.output
    assert _mentions(texts) == set()
    assert texts.rows("SELECT segment_id FROM target WHERE user_id = %s", KEY) == [(None,)]
    assert texts.rows("SELECT * FROM target WHERE user_id <> %s ORDER BY 1", KEY) == others
    manifests = {
        "/".join(path.parts[-4:-2]): json.loads(path.read_text()) for path in store.root.rglob("manifest.json")
    }
    found = {
        where: (manifest["rows"], manifest.get("rejected"), manifest["forgotten"])
        for where, manifest in manifests.items()
        if "forgotten" in manifest
    }
    assert found == {
        f"raw_extract/{MONTHS[0]}": (299, None, 1), f"validated_rows/{MONTHS[0]}": (299, 0, 1),
        f"final_fit/{MONTHS[0]}": (299, None, 1), f"aligned_segments/{MONTHS[0]}": (299, None, 1),
        f"published_segments/{MONTHS[0]}": (300, None, 0),
        f"raw_extract/{MONTHS[1]}": (299, None, 1), f"validated_rows/{MONTHS[1]}": (299, 0, 0),
    }  # fmt: skip
    assert f"encoded_features/{MONTHS[0]}" not in manifests
    hidden = [path for path in store.root.rglob("*") if path.name.startswith(".")]
    open_to_others = [path for path in store.root.rglob("*") if path.stat().st_mode & 0o077]
    assert (hidden, open_to_others) == ([], [])

    assert "nothing was kept of customer" in _run("forget", "shop", KEY).output
    # what is left can still be worked with: the second month aligns again and its counts add up
    assert texts.materialize("aligned_segments", MONTHS[1]).success


def test_a_customer_of_no_one_is_told(texts: Chain) -> None:
    """A segmentation that never ran, an unknown key: nothing was kept, exit code 0."""
    done = _run("forget", "shop", "nobody")
    assert (done.exit_code, done.output) == (0, "shop: nothing was kept of customer 'nobody'\n")


def test_nobody_is_erased_while_a_run_would_bring_them_back(texts: Chain) -> None:
    """An unfinished run of the segmentation refuses the erasure, with its id."""
    with dg.DagsterInstance.get() as instance:
        run = dg.DagsterRun("shop", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
    done = _run("forget", "shop", KEY)
    assert done.exit_code == 1
    assert f"the run {run.run_id[:8]} of shop is in progress" in done.output


@pytest.mark.slow
def test_gc_applies_the_retention_settings_and_tells_what_went(texts: Chain) -> None:
    """Artifacts, rejected rows and customers of older periods go; the current snapshot and its parent stay."""
    for month in MONTHS[:4]:
        outcome = texts.run(month)
        assert outcome.success, outcome.problems
    nothing = "shop: nothing is older than `retention` in its defs.yaml keeps\n"
    assert _run("gc", "shop").output == nothing
    (segmentations()["shop"].store.root / "final_fit" / MONTHS[3] / ".killed.partial-1").mkdir()
    write_source(
        texts.defs, QUERY, features=[{"column": "x", "kind": "numeric"}], publish=PUBLISH,
        retention={"artifacts": 2, "assignments": 2},
    )  # fmt: skip
    done = _run("gc", "shop")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "shop: artifacts of 2024-01-01, 2024-02-01 removed",
        "shop: 1 rejected rows of those and earlier periods deleted",
        "shop: assignments of the snapshots 1, 2 dropped",
        "shop: 1 unfinished artifacts of killed runs removed",
    ]
    assert segmentations()["shop"].store.partitions() == [MONTHS[2], MONTHS[3]]
    assert texts.rows("SELECT DISTINCT snapshot_id FROM segmentation.shop_assignment ORDER BY 1") == [(3,), (4,)]
    assert _run("gc", "shop").output == nothing


def test_an_integer_key_that_is_none_is_refused(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word for an integer key ends with code 1 and the key's type; a number no customer has erases nothing."""
    monkeypatch.setenv("DAGSTER_HOME", str(make_dagster_home(make_home())))
    write_defs(chain.defs)
    for stage in ("raw_extract", "validated_rows"):
        assert chain.materialize(stage, MONTHS[0]).success
    refused = _run("forget", "shop", "seventeen")
    assert refused.exit_code == 1
    assert "'seventeen' is not a key of shop: customer_id is of type integer" in refused.output
    for nobody in ("301", "9007199254740993"):
        assert "nothing was kept" in _run("forget", "shop", nobody).output
    assert _run("forget", "shop", "17").output.count("rewritten without the customer") == 2  # one for each stage
    assert 17 not in _keys("raw_extract")
    assert len(_keys("validated_rows")) == 299


def _keys(stage: str) -> list[int]:
    store = segmentations()["shop"].store
    (folder,) = (store.root / stage / MONTHS[0]).iterdir()
    return list(pq.read_table(folder / "rows.parquet")["customer_id"].to_pylist())
