"""What a defs.yaml may say, and what is refused with which message."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from segmentation_pipeline.spec import (
    FeatureSpec,
    FitSpec,
    FreshSpec,
    GatesSpec,
    PartitionsSpec,
    PublishSpec,
    ScheduleSpec,
    SegmentationSpec,
    SourceSpec,
    SweepSpec,
)


def _attributes(**changes: Any) -> dict[str, Any]:
    """The smallest description that is accepted, with changes."""
    smallest: dict[str, Any] = {
        "name": "shop",
        "source": {"table": "public.customers", "key": "customer_id"},
        "partitions": {"start": "2024-01-01"},
        "publish": {"table": "public.customers", "key": "customer_id"},
    }
    return smallest | changes


def _numeric(column: str, **changes: Any) -> dict[str, Any]:
    return {"column": column, "kind": "numeric"} | changes


def _plan(**changes: Any) -> dict[str, Any]:
    return {"column": "plan", "kind": "categorical"} | changes


def test_the_smallest_description_has_the_documented_defaults() -> None:
    """Name, source, partitions and target are enough; everything else has its default."""
    spec = SegmentationSpec(**_attributes())

    assert spec.source == SourceSpec(
        table="public.customers", key="customer_id", url_env="SEGMENTATION_DATABASE_URL", statement_timeout_s=3600
    )
    assert spec.partitions == PartitionsSpec(cadence="monthly", start="2024-01-01", end=None, timezone="UTC")
    assert spec.schedule == ScheduleSpec(enabled=False, hours_after_end=6)
    assert spec.features == "auto"
    assert (spec.exclude, spec.outcomes, spec.owners, spec.store_rows) == ([], [], [], True)
    assert spec.sweep == SweepSpec(k_min=2, k_max=10, policy="default")
    assert spec.fit == FitSpec(algorithm="auto", k=None, seed=None, n_init=10)
    assert spec.publish == PublishSpec(
        table="public.customers",
        key="customer_id",
        column="segment_id",
        updated_column=None,
        mode="update",
        approval="auto",
        absent="keep",
        url_env="SEGMENTATION_DATABASE_URL",
    )


@pytest.mark.parametrize(
    ("gate", "threshold"),
    [("min_segment_share", 0.01), ("max_row_drop", 0.5), ("max_rejected_share", 0.2), ("min_silhouette", 0.05)],
)
def test_every_gate_blocks_at_its_default_threshold(gate: str, threshold: float) -> None:
    """A gate that is not named has its default threshold and blocks."""
    default = getattr(GatesSpec(), gate)

    assert (default.threshold, default.severity) == (threshold, "block")


def test_movers_only_warn_unless_the_spec_says_otherwise() -> None:
    """Under `on_change` too many movers make a person look; by default they do not block."""
    assert (GatesSpec().max_moved.threshold, GatesSpec().max_moved.severity) == (0.3, "warn")


@pytest.mark.parametrize(
    ("given", "threshold", "severity"),
    [
        (0.2, 0.2, "block"),
        (1, 1.0, "block"),
        ({"threshold": 0.3}, 0.3, "block"),
        ({"severity": "warn"}, 0.05, "warn"),
        ({"threshold": 0.3, "severity": "warn"}, 0.3, "warn"),
        ({"threshold": None}, None, "block"),
    ],
)
def test_a_gate_is_a_number_or_a_mapping(given: object, threshold: float | None, severity: str) -> None:
    """`min_silhouette: 0.2` is short for a threshold, and what is not given keeps its default."""
    gate = GatesSpec(min_silhouette=given).min_silhouette

    assert (gate.threshold, gate.severity) == (threshold, severity)


@pytest.mark.parametrize("given", [True, "0.2", "high", [0.2], {"limit": 0.2}, {"severity": "stop"}, float("nan")])
def test_a_gate_that_is_neither_is_refused(given: object) -> None:
    """A gate that is neither a number nor a mapping of known fields is refused."""
    with pytest.raises(ValidationError, match="min_silhouette"):
        GatesSpec(min_silhouette=given)


def test_owners_are_addresses_or_teams() -> None:
    """What Dagster would refuse when the definitions load is refused with the field's name."""
    owners = ["team:crm", "anna.lee@shop.example"]
    assert SegmentationSpec(**_attributes(owners=owners)).owners == owners
    for wrong in ("anna", "team:", "anna@shop", "a b@shop.example"):
        with pytest.raises(ValidationError, match="neither an e-mail address nor team:name"):
            SegmentationSpec(**_attributes(owners=[wrong]))


def test_gates_survive_the_way_through_plain_values() -> None:
    """A dumped spec reads back to an equal one, gates included."""
    spec = SegmentationSpec(
        **_attributes(
            gates={"min_silhouette": 0.2, "max_row_drop": {"severity": "warn"}},
            features=[_numeric("spend", transform="log1p"), {"column": "country", "kind": "categorical"}],
        )
    )

    assert SegmentationSpec(**spec.model_dump()) == spec


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"source": {"table": "public.customers", "key": "customer_id", "url": "postgresql://secret"}},
        {"partitions": {"start": "2024-01-01", "step": 2}},
        {"schedule": {"on": True}},
        {"features": [_numeric("spend", bins=3)]},
        {"sweep": {"k": 3}},
        {"fit": {"random_state": 1}},
        {"gates": {"min_purity": 0.5}},
        {"publish": {"table": "public.customers", "key": "customer_id", "if_exists": "replace"}},
    ],
)
def test_an_unknown_field_is_refused_everywhere(changes: dict[str, Any]) -> None:
    """An unknown field is refused in every part, so that a typing error does not pass unnoticed."""
    with pytest.raises(ValidationError, match="there is no such field"):
        SegmentationSpec(**_attributes(**changes))


@pytest.mark.parametrize("missing", ["name", "source", "partitions", "publish"])
def test_what_has_no_default_must_be_given(missing: str) -> None:
    """Leaving out a part without a default names that part."""
    attributes = _attributes()
    del attributes[missing]

    with pytest.raises(ValidationError, match=f"{missing}\n  Value error, is missing"):
        SegmentationSpec(**attributes)


def test_a_spec_cannot_be_changed() -> None:
    """A spec is frozen once it is read."""
    spec = SegmentationSpec(**_attributes())

    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"


@pytest.mark.parametrize("name", ["a", "shop", "shop_2024", "a" * 40])
def test_a_name_that_is_an_identifier_is_accepted(name: str) -> None:
    """Lower-case letters, digits and underscores after a letter, up to 40 of them, make a name."""
    assert SegmentationSpec(**_attributes(name=name)).name == name


@pytest.mark.parametrize(
    "name", ["", "Shop", "2shop", "_shop", "shop-a", "shop a", "a" * 41, "shop\n", 'x"; DROP', "é"]
)
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    """The name becomes part of table names, so nothing but an identifier will do."""
    with pytest.raises(ValidationError, match=r"must match \[a-z\]\[a-z0-9_\]\* and have at most 40 characters"):
        SegmentationSpec(**_attributes(name=name))


@pytest.mark.parametrize("given", [{}, {"query": "SELECT 1", "table": "public.customers"}])
def test_a_source_is_a_query_or_a_table(given: dict[str, str]) -> None:
    """Both and neither of query and table are refused."""
    with pytest.raises(ValidationError, match="give either `query` or `table`"):
        SourceSpec(key="customer_id", **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "2024-01-15"}, "start 2024-01-15 is not the start of a month; write 2024-01-01"),
        ({"start": "2024-1-15"}, "start 2024-1-15 is not the start of a month; write 2024-01-01"),
        ({"start": "2024-01-01", "end": "2024-03-31"}, "end 2024-03-31 is not the start of a month; write 2024-03-01"),
        (
            {"start": "2024-01-02", "cadence": "weekly"},
            "start 2024-01-02 is a Tuesday; weekly periods start on a Monday",
        ),
        (
            {"start": "2024-01-01", "end": "2024-01-14", "cadence": "weekly"},
            "end 2024-01-14 is a Sunday; weekly periods start on a Monday",
        ),
        ({"start": "2024-02-01", "end": "2024-02-01"}, "end 2024-02-01 must be after start 2024-02-01"),
        ({"start": "2024-02-01", "end": "2024-01-01"}, "end 2024-01-01 must be after start 2024-02-01"),
        ({"start": "2024-02-30", "cadence": "daily"}, "start: '2024-02-30' is not a date; write YYYY-MM-DD"),
        ({"start": "01.02.2024"}, "start: '01.02.2024' is not a date; write YYYY-MM-DD"),
        ({"start": "2024-01-01T00:00"}, "is not a date; write YYYY-MM-DD"),
        ({"start": "2024-01-01", "end": "soon"}, "end: 'soon' is not a date"),
        ({"start": "2024-01-01", "timezone": "Berlin"}, "'Berlin' is not a time zone; use an IANA name"),
        ({"start": "2024-01-01", "timezone": "../etc/passwd"}, "is not a time zone"),
        ({"start": "2024-01-01", "cadence": "hourly"}, "'hourly' is not one of daily, weekly, monthly"),
    ],
)
def test_periods_off_their_boundaries_are_refused(given: dict[str, str], message: str) -> None:
    """A start or an end that does not start a period, or is not a date, is refused with what to write instead."""
    with pytest.raises(ValidationError) as refused:
        PartitionsSpec(**given)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"start": "2024-02-29", "cadence": "daily"},
        {"start": "2024-01-01", "end": "2024-01-08", "cadence": "weekly"},
        {"start": "2024-01-01", "timezone": "Europe/Berlin"},
    ],
)
def test_periods_on_their_boundaries_are_accepted(given: dict[str, str]) -> None:
    """Any day starts a daily period, a Monday a weekly one, a first a monthly one."""
    assert PartitionsSpec(**given).start == given["start"]


def test_an_unquoted_yaml_date_is_read_as_text() -> None:
    """YAML turns an unquoted 2024-01-01 into a date; it means the same as the text."""
    spec = PartitionsSpec(start=date(2024, 1, 1), end=date(2024, 3, 1))

    assert (spec.start, spec.end) == ("2024-01-01", "2024-03-01")


@pytest.mark.parametrize("hours", [-1, 24 * 27 + 1])
def test_a_schedule_fires_within_the_next_period(hours: int) -> None:
    """Hours after the end that are negative or beyond 27 days are refused."""
    with pytest.raises(ValidationError, match="hours_after_end"):
        ScheduleSpec(hours_after_end=hours)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (_numeric("spend", max_categories=5), "spend: max_categories means nothing for a numeric feature; remove it"),
        (_numeric("spend", allowed=["a"]), "spend: allowed means nothing for a numeric feature"),
        (
            {"column": "country", "kind": "categorical", "transform": "log1p", "scale": "none"},
            "country: transform, scale means nothing for a categorical feature",
        ),
        (
            {"column": "country", "kind": "categorical", "min": 0},
            "country: min means nothing for a categorical feature",
        ),
        ({"column": "active", "kind": "boolean", "max": 1}, "active: max means nothing for a boolean feature"),
        ({"column": "active", "kind": "boolean", "max_categories": 2}, "active: max_categories means nothing"),
        (_numeric("spend", missing="category"), "use reject or median or mean"),
        ({"column": "country", "kind": "categorical", "missing": "median"}, "use reject or category"),
        (
            {"column": "active", "kind": "boolean", "missing": "category"},
            "active: missing: category is not for a boolean",
        ),
        (_numeric("spend", min=2, max=1), "spend: min 2.0 is above max 1.0"),
        (_numeric("spend", weight=0), "greater than 0"),
        (_numeric("spend", weight=-1), "greater than 0"),
        (_numeric("spend", weight=float("inf")), "finite number"),
        (_numeric("spend", min=float("nan")), "finite number"),
        (
            _numeric("spend", transform="log"),
            "'log' is not one of none, log1p, sqrt, yeo-johnson, auto; did you mean log1p?",
        ),
        ({"column": "country", "kind": "categorical", "max_categories": 1}, "greater than or equal to 2"),
        ({"column": "country", "kind": "text"}, "'text' is not one of numeric, categorical, boolean, date"),
    ],
)
def test_a_feature_that_contradicts_itself_is_refused(feature: dict[str, Any], message: str) -> None:
    """A field that means nothing for the kind, or cannot hold together with another, is refused by name."""
    with pytest.raises(ValidationError) as refused:
        FeatureSpec(**feature)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (_numeric("spend", missing="constant"), "spend: `missing: constant` and `fill` go together; give both or neither"),
        (_numeric("spend", fill=0), "spend: `missing: constant` and `fill` go together"),
        (_numeric("spend", missing="median", fill=0), "spend: `missing: constant` and `fill` go together"),
        (
            _numeric("spend", missing="constant", fill=-1, transform="log1p"),
            "spend: fill -1 has no log1p; it must be above -1",
        ),
        (_numeric("spend", missing="constant", fill=-2, transform="sqrt"), "fill -2 has no sqrt; it must be at least 0"),
        (_numeric("spend", winsorize=[0.05, 0.95]), "spend: winsorize only goes with `outliers: winsorize`, not with none"),
        (_numeric("spend", outliers="remove", winsorize=[0.05, 0.95]), "not with remove"),
        (_numeric("spend", fence=2), "spend: fence only goes with `outliers: remove`, not with none"),
        (_numeric("spend", outliers="winsorize", fence=2), "not with winsorize"),
        (_numeric("spend", outliers="remove", fence=0), "greater than 0"),
        (_numeric("spend", outliers="winsorize", winsorize=[0.99, 0.01]), "must be two quantiles, the lower one first"),
        (_numeric("spend", outliers="winsorize", winsorize=[0.5, 0.5]), "must be two quantiles, the lower one first"),
        (_numeric("spend", outliers="winsorize", winsorize=[1, 99]), "less than or equal to 1"),
        (_numeric("spend", outliers="winsorize", winsorize=[0.01]), "winsorize"),
        (_numeric("spend", encode="frequency"), "spend: encode means nothing for a numeric feature"),
        (_numeric("spend", order=["a", "b"]), "spend: order means nothing for a numeric feature"),
        ({"column": "joined", "kind": "date", "allowed": ["a"]}, "joined: allowed means nothing for a date feature"),
        ({"column": "joined", "kind": "date", "missing": "category"}, "missing: category is not for a date feature"),
        (_plan(outliers="remove", encode="frequency"), "plan: outliers means nothing for a categorical feature"),
        (_plan(scale="robust"), "plan: scale means nothing for a categorical feature"),
        (_plan(encode="ordinal"), "plan: `encode: ordinal` and `order` go together; give both or neither"),
        (_plan(order=["a", "b"]), "plan: `encode: ordinal` and `order` go together"),
        (_plan(encode="ordinal", order=["a"]), "must be at least two different values"),
        (_plan(encode="ordinal", order=["a", "b", "a"]), "must be at least two different values"),
        (_plan(encode="ordinal", order=["a", "b"], allowed=["a", "c"]), "plan: allowed c has no place in order ['a', 'b']"),
        (
            _plan(encode="ordinal", order=["a", "b"], missing="category"),
            "missing: category is not for ordinal encoding of a categorical feature; use reject or median or indicator",
        ),
        (_plan(encode="frequency", missing="median"), "use reject or category"),
        (_plan(encode="frequency", max_categories=5), "max_categories only goes with `encode: one_hot`, not with frequency"),
        ({"column": "active", "kind": "boolean", "encode": "ordinal"}, "active: encode means nothing for a boolean feature"),
    ],
)  # fmt: skip
def test_options_of_a_feature_that_contradict_each_other_are_refused(feature: dict[str, Any], message: str) -> None:
    """Two options that cannot hold together are refused, with both of them in the message."""
    with pytest.raises(ValidationError) as refused:
        FeatureSpec(**feature)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    "feature",
    [
        _numeric("spend", transform="yeo-johnson", outliers="winsorize", winsorize=[0, 0.95], missing="indicator"),
        _numeric("spend", transform="auto", outliers="remove", fence=1.5, missing="constant", fill=-1),
        {"column": "joined", "kind": "date", "transform": "log1p", "max": 3650, "missing": "median", "scale": "robust"},
        _plan(encode="ordinal", order=["a", "b"], allowed=["a"], scale="minmax", missing="indicator"),
        _plan(encode="frequency", missing="category", scale="none"),
    ],
)  # fmt: skip
def test_options_that_go_together_survive_the_way_through_plain_values(feature: dict[str, Any]) -> None:
    """A feature reads back from its dump, where every field is set, to an equal one."""
    spec = FeatureSpec(**feature)

    assert FeatureSpec(**json.loads(json.dumps(spec.model_dump()))) == spec


@pytest.mark.parametrize("columns", ["auto", [_numeric("spend")]])
def test_features_can_be_a_mapping_with_a_pca(columns: Any) -> None:
    """`features: {columns, pca}` is the two fields it stands for; the plain forms stay."""
    mapped = SegmentationSpec(**_attributes(features={"columns": columns, "pca": 0.9}))

    assert mapped == SegmentationSpec(**_attributes(features=columns, pca=0.9))
    assert mapped.pca == 0.9
    assert SegmentationSpec(**mapped.model_dump()) == mapped
    assert SegmentationSpec(**_attributes(features={"columns": columns})).pca is None
    assert SegmentationSpec(**_attributes(features={"pca": 0.5})).features == "auto"


def test_the_json_schema_knows_every_form_of_features() -> None:
    """Editors and `dg check yaml` go by the JSON schema: it names the plain forms and the mapping."""
    forms = SegmentationSpec.model_json_schema()["properties"]["features"]["anyOf"]

    assert [form["type"] for form in forms] == ["string", "array", "object"]
    assert list(forms[2]["properties"]) == ["columns", "pca"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"columns": "auto", "n": 3}}, "features: there is no n; a mapping has `columns` and `pca`"),
        ({"features": {"pca": 0.9}, "pca": 0.8}, "pca is given twice, in `features` and beside it; remove one"),
        ({"features": {"pca": 1}}, "less than 1"),
        ({"pca": 0}, "greater than 0"),
        ({"features": {"columns": []}}, "features is empty; list at least one column"),
        ({"features": {"columns": [_numeric("spend", bins=3)]}}, "features.columns.0.bins"),
    ],
)
def test_a_mapping_of_features_that_says_something_else_is_refused(changes: dict[str, Any], message: str) -> None:
    """Unknown fields, a share that is not one and a PCA that is given twice are refused."""
    with pytest.raises(ValidationError) as refused:
        SegmentationSpec(**_attributes(**changes))

    assert message in str(refused.value)


def test_equal_bounds_are_a_range() -> None:
    """A minimum equal to the maximum is allowed: only one value passes."""
    feature = FeatureSpec(**_numeric("spend", min=1, max=1))

    assert (feature.min, feature.max) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": []}, "features is empty; list at least one column"),
        (
            {"features": [_numeric("b"), _numeric("a"), _numeric("a"), _numeric("b")]},
            "features: a, b listed more than once",
        ),
        ({"features": [_numeric("customer_id")]}, "features: customer_id is the key"),
        (
            {"features": [_numeric("spend"), _numeric("converted")], "outcomes": ["converted", "churned"]},
            "outcomes: converted is also a feature; an outcome is never clustered on",
        ),
        ({"features": [_numeric("spend")], "exclude": ["email"]}, "exclude only goes with `features: auto`"),
        ({"features": "all"}, "write `auto`, or a list of {column: ..."),
    ],
)
def test_features_that_collide_with_the_rest_are_refused(changes: dict[str, Any], message: str) -> None:
    """The key, an outcome, a column listed twice and an empty list are no features."""
    with pytest.raises(ValidationError) as refused:
        SegmentationSpec(**_attributes(**changes))

    assert message in str(refused.value)


def test_exclude_goes_with_automatic_features() -> None:
    """With `features: auto`, columns can be excluded and named as outcomes."""
    spec = SegmentationSpec(**_attributes(exclude=["email"], outcomes=["converted"]))

    assert (spec.exclude, spec.outcomes) == (["email"], ["converted"])


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"k_min": 5, "k_max": 4}, "k_min 5 is above k_max 4"),
        ({"k_min": 11}, "k_min 11 is above k_max 10"),
        ({"k_min": 1}, "greater than or equal to 2"),
        ({"k_max": 101}, "less than or equal to 100"),
        ({"policy": "elbow"}, "policy"),
    ],
)
def test_a_sweep_over_nothing_is_refused(sweep: dict[str, Any], message: str) -> None:
    """A range of K that is empty or out of bounds is refused."""
    with pytest.raises(ValidationError) as refused:
        SweepSpec(**sweep)

    assert message in str(refused.value)


def test_a_sweep_over_one_k_is_accepted() -> None:
    """A range of a single K is a range."""
    assert SweepSpec(k_min=4, k_max=4).k_max == 4


@pytest.mark.parametrize("fit", [{"k": 1}, {"k": 101}, {"seed": -1}, {"seed": 2**32}, {"n_init": 9}, {"k": 2.5}])
def test_a_fit_out_of_bounds_is_refused(fit: dict[str, Any]) -> None:
    """K, the seed and the number of starts have bounds that are held."""
    (field,) = fit

    with pytest.raises(ValidationError, match=field):
        FitSpec(**fit)


@pytest.mark.parametrize("changes", [{"mode": "replace"}, {"absent": "drop"}, {"approval": "never"}])
def test_a_target_says_only_what_publishing_knows(changes: dict[str, str]) -> None:
    """A mode, an approval or a treatment of absent customers that does not exist is refused."""
    (field,) = changes

    with pytest.raises(ValidationError, match=field):
        PublishSpec(table="public.customers", key="customer_id", **changes)


def test_every_field_says_what_it_is_for() -> None:
    """Each field that holds a value has a description; parts explain themselves in their docstring."""
    parts = (SourceSpec, PartitionsSpec, ScheduleSpec, FeatureSpec, SweepSpec, FitSpec, GatesSpec, PublishSpec)
    silent = [
        f"{part.__name__}.{name}"
        for part in parts
        for name, field in part.model_fields.items()
        if not (field.description or "").endswith(".")
    ]

    assert silent == []


@pytest.mark.parametrize(
    "cron", ["0 7 * * *", "*/15 6-22 * * MON-FRI", "0 0,12 1 jan,JUL 0", "5 4 31 12 7", "0 8-18/2 * * *"]
)
def test_a_cron_line_for_scoring_is_taken(cron: str) -> None:
    """Values, ranges, steps, lists and names of days and months are a cron line, and Dagster takes what we take."""
    from dagster._utils.schedules import is_valid_cron_schedule

    assert ScheduleSpec(score=cron).score == cron
    assert is_valid_cron_schedule(cron)


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("daily", "'daily' has 1 fields; a cron line has five: minute hour day month weekday"),
        ("0 7 * * * *", "has 6 fields"),
        ("60 7 * * *", "60 is not a minute of a cron line, which goes from 0 to 59"),
        ("0 24 * * *", "24 is not a hour of a cron line"),
        ("0 7 0 * *", "0 is not a day of a cron line"),
        ("0 7 * SOON *", "SOON is not a month of a cron line"),
        ("0 7 * * 1-", "1- is not a weekday of a cron line"),
        ("0 22-6 * * *", "22-6 is not a hour of a cron line"),
        ("*/0 7 * * *", r"\*/0 is not a minute of a cron line"),
        ("1,,2 7 * * *", "1,,2 is not a minute of a cron line"),
    ],
)
def test_what_is_no_cron_line_is_refused(cron: str, message: str) -> None:
    """The field that is wrong is named with what it may be."""
    with pytest.raises(ValidationError, match=message):
        ScheduleSpec(score=cron)


@pytest.mark.parametrize(
    ("within", "limit"),
    [
        ("90m", timedelta(minutes=90)),
        ("36h", timedelta(hours=36)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(days=7)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(within: str, limit: timedelta) -> None:
    """Minutes, hours, days and weeks say how fresh the source must be."""
    assert FreshSpec(column="updated_at", within=within).limit == limit


@pytest.mark.parametrize("within", ["2", "2 d", "0d", "-1d", "1.5d", "2 days", "P2D", "1y", ""])
def test_what_is_no_duration_is_refused(within: str) -> None:
    """Anything else is refused with examples of what to write."""
    with pytest.raises(ValidationError, match=f"{within!r} is not a duration; write a whole number and m, h, d or w"):
        FreshSpec(column="updated_at", within=within)
