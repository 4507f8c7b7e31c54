"""Names of tables as a person writes them."""

from __future__ import annotations

import pytest

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model.key import KEY_TYPES as KEYS
from segmentation_pipeline.model.key import is_integer_key
from segmentation_pipeline.storage.warehouse.postgres.tables import join_table_name, split_table_name
from segmentation_pipeline.storage.warehouse.postgres.types import COLUMN_TYPES, KEY_TYPES, to_compared_type


@pytest.mark.parametrize(
    ("written", "parts", "joined"),
    [
        ("customers", ("public", "customers"), "public.customers"),
        ("crm.customers", ("crm", "customers"), "crm.customers"),
        ('crm."My Customers"', ("crm", "My Customers"), 'crm."My Customers"'),
        ('"a.b"."C"', ("a.b", "C"), '"a.b"."C"'),
        ("Crm.customers", ("Crm", "customers"), '"Crm".customers'),
        ('"9"."line\n"', ("9", "line\n"), '"9"."line\n"'),
    ],
)
def test_a_table_is_named_with_quotes_where_it_needs_them(written: str, parts: tuple[str, str], joined: str) -> None:
    """A name is split at the dot outside quotes, and joined so that it is split the same way again."""
    assert split_table_name(written) == parts
    assert join_table_name(*parts) == joined
    assert split_table_name(joined) == parts


@pytest.mark.parametrize("written", ["", "a.", ".a", "a.b.c", '""', 'a.""'])
def test_a_name_of_other_parts_is_refused(written: str) -> None:
    """An empty part, or more parts than a schema and a table, is not a table name."""
    with pytest.raises(ConfigurationError, match=r"is not a table name; write schema\.table"):
        split_table_name(written)


def test_every_type_of_a_key_has_a_column_type() -> None:
    """The package's words for a key's type and PostgreSQL's are mapped in both directions, without a gap."""
    assert set(KEY_TYPES.values()) == set(KEYS) == set(COLUMN_TYPES)
    assert {key: to_compared_type(key) for key in KEYS} == {
        "smallint": "bigint", "integer": "bigint", "bigint": "bigint", "text": "text", "uuid": "uuid",
    }  # fmt: skip
    assert [key for key in KEYS if is_integer_key(key)] == ["smallint", "integer", "bigint"]
