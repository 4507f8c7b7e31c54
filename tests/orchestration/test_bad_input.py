"""Bad input through the front of the chain: rejected with a reason, handled, or refused with a clear message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from support.three_groups import MONTHS, write_source

if TYPE_CHECKING:
    from support.chain import Chain

    from segmentation_pipeline.orchestration.runs.execute import RunOutcome

GOOD = "SELECT g AS id, (g % 7)::float8 AS x, (g % 3)::text AS c FROM generate_series(1, 100) g"
X = {"column": "x", "kind": "numeric"}
C = {"column": "c", "kind": "categorical"}
FRONT = ("raw_extract", "validated_rows", "encoded_features")


@dataclass(frozen=True)
class Case:
    """A source and the expected result: the words of the refusal, or how many rows are used and rejected."""

    query: str
    refused: tuple[str, ...] = ()
    used: int = 100
    rejected: dict[str, int] = field(default_factory=dict)
    features: Any = (X, C)
    key: str = "id"


def add_rows(*rows: str, columns: str = "id, x, c") -> str:
    """Return the query of the good source with more rows."""
    return f"SELECT * FROM ({GOOD}) g UNION ALL SELECT id, x::float8, c FROM (VALUES {', '.join(rows)}) v ({columns})"


CASES = {
    "empty table": Case(f"{GOOD} WHERE false", refused=("0 rows for 2024-01-01",)),
    "one row": Case(f"{GOOD} WHERE g = 1", used=1),
    "all-null column": Case(
        "SELECT g AS id, NULL::float8 AS x, 'a' AS c FROM generate_series(1, 100) g",
        refused=("all 100 rows were rejected: x: null (100)", "segmentation.shop_rejected"),
    ),
    "all-null column that is filled": Case(
        "SELECT g AS id, NULL::float8 AS x, (g % 3)::text AS c FROM generate_series(1, 100) g",
        features=({**X, "missing": "median"}, C),
        refused=("x: all 100 values are null; take it out of the features",),
    ),
    "constant column": Case("SELECT g AS id, 5 AS x, (g % 3)::text AS c FROM generate_series(1, 100) g"),
    "infinities and not-a-number": Case(
        add_rows("(101, 'Infinity', 'a')", "(102, '-Infinity', 'a')", "(103, 'NaN', 'a')"),
        rejected={"x: infinite": 2, "x: null": 1},
    ),
    "words in a numeric column": Case(
        "SELECT g AS id, CASE WHEN g % 10 = 0 THEN 'n/a' ELSE g::text END AS x, 'a' AS c FROM generate_series(1, 100) g",
        used=90,
        rejected={"x: 'n/a' is not a number": 10},
    ),
    "nothing but words in a numeric column": Case(
        "SELECT g AS id, 'many' AS x, 'a' AS c FROM generate_series(1, 100) g",
        refused=("all 100 rows were rejected: x: 'many' is not a number (100)",),
    ),
    "ten thousand categories": Case(
        "SELECT g AS id, g::float8 AS x, 'c' || g % 10000 AS c FROM generate_series(1, 20000) g", used=20_000
    ),
    "quoted and mixed-case columns": Case(
        'SELECT g AS "Kunden Nr.", g::float8 AS "Umsatz (€) ""brutto""", (g % 3)::text AS "Plan" FROM generate_series(1, 100) g',
        key="Kunden Nr.",
        features=({"column": 'Umsatz (€) "brutto"', "kind": "numeric"}, {"column": "Plan", "kind": "categorical"}),
    ),
    "another case than the column's": Case(GOOD, features=({**X, "column": "X"},), refused=("no column X; it has id, x, c",)),
    "null and duplicated keys": Case(
        add_rows("(NULL::int, 1, 'a')", "(NULL, 2, 'a')", "(7, 3, 'a')"),
        used=99,
        rejected={"key is null": 2, "key is duplicated": 2},
    ),
    "a key that is one letter in two cases": Case(
        "SELECT * FROM (VALUES ('a', 1.0, 'u'), ('A', 2.0, 'v'), (' a', 3.0, 'u'), ('', 4.0, 'u')) v (id, x, c)", used=4
    ),
    "keys beyond 2^53": Case(
        "SELECT 9007199254740992 + g AS id, g::float8 AS x, 'a' AS c FROM generate_series(0, 99) g"
    ),
    "keys beyond 2^53 beside a null": Case(
        "SELECT CASE WHEN g > 0 THEN 9007199254740992 + g END AS id, g::float8 AS x, 'a' AS c FROM generate_series(0, 99) g",
        used=99,
        rejected={"key is null": 1},
    ),
    "three hundred columns": Case(
        "SELECT g AS id, " + ", ".join(f"(g * {n} % 97)::float8 AS c{n}" for n in range(1, 301)) + " FROM generate_series(1, 100) g",
        features=tuple({"column": f"c{n}", "kind": "numeric"} for n in range(1, 301)),
    ),
    "three hundred columns, auto": Case(
        "SELECT g AS id, " + ", ".join(f"(g * {n} % 97)::float8 AS c{n}" for n in range(1, 301)) + " FROM generate_series(1, 100) g",
        features="auto",
    ),
    "dates out of range": Case(
        "SELECT g AS id, 1.0 * g AS x, CASE g WHEN 1 THEN date '5874897-12-31' WHEN 2 THEN date '4713-01-01 BC' WHEN 3 THEN 'infinity' "
        "WHEN 4 THEN '0001-01-01' WHEN 5 THEN '9999-12-31' ELSE date '2023-12-01' - g END AS d FROM generate_series(1, 100) g",
        features=(X, {"column": "d", "kind": "date", "max": 36500}),
        used=95,
        rejected={"d: after as_of": 1, "d: null": 3, "d: above 36500": 1},
    ),
    "timestamps out of range": Case(
        "SELECT g AS id, 1.0 * g AS x, CASE g WHEN 1 THEN timestamptz '294276-12-31' WHEN 2 THEN timestamptz '4713-02-01 BC' WHEN 3 THEN 'infinity' "
        "WHEN 4 THEN '-infinity' WHEN 5 THEN '12000-12-31' ELSE timestamptz '2023-12-01' - g * interval '1 day' END AS d FROM generate_series(1, 100) g",
        features=(X, {"column": "d", "kind": "date", "max": 36500}),
        used=95,
        rejected={"d: null": 5},
    ),
    "dates out of range in a column that is no feature": Case(
        "SELECT g AS id, g::float8 AS x, 'a' AS c, CASE g WHEN 1 THEN date '5874897-12-31' WHEN 2 THEN date '4713-01-01 BC' ELSE date '2023-12-01' END AS d, "
        "CASE g WHEN 1 THEN timestamp '294276-12-31' WHEN 2 THEN timestamp '4713-02-01 BC' ELSE timestamp '2023-12-01' END AS t "
        "FROM generate_series(1, 100) g"
    ),
    "dates out of range, auto": Case(
        "SELECT g AS id, g::float8 AS x, CASE g WHEN 2 THEN date '4713-01-01 BC' ELSE date '2023-12-01' - g END AS d, "
        "CASE g WHEN 1 THEN timestamp '294276-12-31' WHEN 2 THEN timestamp '4713-02-01 BC' ELSE timestamp '2023-12-01' END AS t "
        "FROM generate_series(1, 100) g",
        features="auto",
    ),
    "emoji and control characters": Case(
        "SELECT g AS id, g::float8 AS x, (ARRAY['🛒', 'a'||chr(1)||'b', E'line\\nbreak', '\"quoted\", \\x', U&'\\FEFF', ' '])[g % 6 + 1] AS c FROM generate_series(1, 100) g"
    ),
    "a zero byte": Case("SELECT 1 AS id, 1.0 AS x, 'a' || chr(0) AS c", refused=("2024-01-01", "null character not permitted")),
    "a rejected row that has everything": Case(
        "SELECT * FROM (VALUES (1, 1.0, 'a', '{\"z\": \"\\u0000\"}'::json, '\\x00ff'::bytea, date '5874897-01-01', timestamptz '4713-02-01 BC'), "
        "(2, NULL, '🛒', '{}', '', 'infinity', 'infinity'), (NULL, 2.0, E'\\\\t \"x\"', '[]', NULL, '0001-01-01 BC', '294276-12-31'), "
        "(3, 'NaN', '', '\"\\u0000\"', '\\x00', '2024-01-01', '2024-01-01')) v (id, x, c, j, b, d, t)",
        used=1,
        rejected={"x: null": 2, "key is null": 1},
    ),
    "no column but the key": Case("SELECT g AS id FROM generate_series(1, 100) g", features="auto", refused=("auto found no usable column",)),
    "numbers beyond all measure": Case(
        add_rows("(101, 1e308, 'a')", "(102, -1e308, 'a')", "(103, 5e-324, 'a')"), used=101, rejected={"x: beyond 1e+100": 2}
    ),
    "numbers that cannot be squared": Case(
        add_rows("(101, 1e99, 'a')"), features=({**X, "scale": "none"},), refused=("x: a value is inf units", "`max`")
    ),
    "a large number that is transformed": Case(add_rows("(101, 1e99, 'a')"), features=({**X, "transform": "auto"},), used=101),
    "a large number, auto": Case(add_rows("(101, -1e99, 'a')", "(102, 1e99, 'a')"), features="auto", used=102),
}  # fmt: skip


def run_front(chain: Chain, query: str, *, features: Any, key: str = "id", month: str = MONTHS[0]) -> RunOutcome:
    """Run a month through the first three assets."""
    from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
    from segmentation_pipeline.orchestration.runs.execute import run_partition

    write_source(chain.defs, query, features=features, key=key)
    segmentation = segmentations()["shop"]
    selected = dg.define_asset_job("front", selection=[segmentation.key(stage) for stage in FRONT])
    job = dg.Definitions.merge(load_definitions(), dg.Definitions(jobs=[selected])).resolve_job_def("front")
    return run_partition(segmentation, job, month, instance=chain.instance)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_bad_rows_are_refused_or_rejected_with_a_reason(chain: Chain, case: Case) -> None:
    """Whatever a source contains, the run is refused in plain words, or every row is used or rejected with its reasons."""
    outcome = run_front(chain, case.query, features=case.features, key=case.key)
    said = "\n".join(outcome.problems)
    assert outcome.success == (not case.refused), said
    assert "Error" not in said
    assert "the UI shows where" not in said
    for words in case.refused:
        assert words in said
    if case.refused:
        return
    _, valid, encoded = (_open_artifact(chain, stage) for stage in FRONT)
    reasons = [reason for (reason,) in chain.rows("SELECT unnest(reasons) FROM segmentation.shop_rejected")]
    assert {reason: reasons.count(reason) for reason in reasons} == case.rejected
    assert valid.rows == case.used
    keys, matrix = encoded.matrix()
    assert len(set(keys.to_pylist())) == len(matrix) == case.used
    assert (abs(matrix) < 1e6).all()


def _open_artifact(chain: Chain, stage: str) -> Any:
    from segmentation_pipeline.orchestration.discovery import segmentations

    event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", stage]))
    assert event is not None
    assert event.asset_materialization is not None
    _, partition, run_id = str(event.asset_materialization.metadata["artifact"].value).split("/")
    return segmentations()["shop"].store.open(stage, partition, run_id)
