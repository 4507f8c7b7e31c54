"""A mistake in a defs.yaml: its place, what was found, the nearest valid name."""

from typing import Any

import pytest
from pydantic import ValidationError

from segmentation_pipeline.spec import SegmentationSpec

SMALLEST: dict[str, Any] = {
    "name": "shop",
    "source": {"table": "public.customers", "key": "customer_id"},
    "partitions": {"start": "2024-01-01"},
    "publish": {"table": "public.customers", "key": "customer_id"},
}
SPEND = {"column": "spend", "kind": "numeric"}


def _mistakes(**changes: Any) -> list[tuple[str, str]]:
    """Each mistake's place, dotted, and its words."""
    with pytest.raises(ValidationError) as refused:
        SegmentationSpec(**SMALLEST | changes)
    found = refused.value.errors()
    return [(".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")) for error in found]


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"fetures": "auto"}, "fetures", "there is no such field; did you mean features?"),
        ({"gates": {"min_silhouete": 0.2}}, "gates.min_silhouete", "there is no such field; did you mean min_silhouette?"),
        ({"sweep": {"k": 5}}, "sweep.k", "there is no such field here; fit has one"),
        ({"sweep": {"zzz": 5}}, "sweep.zzz", "there is no such field; there are k_min, k_max, policy"),
        ({"features": [SPEND, SPEND | {"wieght": 2, "column": "b"}]}, "features.1.wieght", "there is no such field; did you mean weight?"),
        ({"features": [{"kind": "numeric"}]}, "features.0.column", "is missing. The column's name in the source query."),
        ({"publish": {"table": "a.b", "key": "id", "mode": "craete"}}, "publish.mode", "'craete' is not one of update, create; did you mean create?"),
        ({"sweep": {"k_max": "lots"}}, "sweep.k_max", "should be a valid integer, unable to parse string as an integer; this is 'lots'"),
        ({"features": [SPEND, "b"]}, "features.1", "should be a valid mapping; this is 'b'"),
        ({"features": {"columns": [SPEND, {"column": "b", "kind": "numerc"}]}}, "features.columns.1.kind", "'numerc' is not one of numeric, categorical, boolean, date; did you mean numeric?"),
        ({"features": 3}, "features", "write `auto`, or a list of {column: ..., kind: numeric, categorical, boolean or date}"),
        ({"features": [SPEND, {"column": "b", "kind": "numeric"}, SPEND]}, "features.2", "features: spend listed more than once"),
        ({"features": [SPEND], "outcomes": ["spend"]}, "outcomes", "outcomes: spend is also a feature; an outcome is never clustered on"),
        ({"partitions": {"start": "2024-01-15"}}, "partitions.start", "start 2024-01-15 is not the start of a month; write 2024-01-01"),
        ({"partitions": {"start": "2024-01-01", "end": "soon"}}, "partitions.end", "end: 'soon' is not a date; write YYYY-MM-DD"),
        ({"sweep": {"k_min": 5, "k_max": 4}}, "sweep.k_max", "k_min 5 is above k_max 4"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(changes: dict[str, Any], place: str, words: str) -> None:
    """The place is the field's own, as the YAML has it; the words say what was found and what to write."""
    assert _mistakes(**changes) == [(place, words)]


def test_every_mistake_is_told_once() -> None:
    """Mistakes of several parts come together, each once, whatever part it is in."""
    places = [place for place, _ in _mistakes(fetures="auto", sweep={"k_mx": 3, "k_max": 1}, publish={"table": "a.b"})]

    assert sorted(places) == ["fetures", "publish.key", "sweep.k_max", "sweep.k_mx"]


def test_a_url_in_the_yaml_is_not_repeated() -> None:
    """What may be a URL with a password is in no message, wherever it was written."""
    url = "postgresql://me:s3cret@db/shop"
    with pytest.raises(ValidationError) as refused:
        SegmentationSpec(
            **SMALLEST | {"source": {"table": "a", "key": "id", "url": url}, "sweep": {"k_max": url}, "publish": url}
        )

    assert len(refused.value.errors()) == 3
    assert "s3cret" not in str(refused.value)
