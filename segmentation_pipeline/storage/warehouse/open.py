"""From the scheme of a URL to the warehouse that reads or writes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from segmentation_pipeline.runtime.settings import read_database_url
from segmentation_pipeline.storage.warehouse.postgres.connection import SCHEMES
from segmentation_pipeline.storage.warehouse.postgres.source import PostgresSource
from segmentation_pipeline.storage.warehouse.postgres.target import PostgresTarget

if TYPE_CHECKING:
    import sqlalchemy as sa

    from segmentation_pipeline.spec import PublishSpec, SourceSpec
    from segmentation_pipeline.storage.warehouse.base import Source, Target

SOURCES: Final = dict.fromkeys(SCHEMES, PostgresSource)
TARGETS: Final = dict.fromkeys(SCHEMES, PostgresTarget)


def source_for(source: SourceSpec, *, timezone: str) -> Source:
    """Return the warehouse of a source, whose dates and days are those of `timezone`; nothing is connected yet."""
    return SOURCES.get(_scheme_of(source.url_env), PostgresSource)(source, timezone)


def target_for(publish: PublishSpec, connection: sa.Connection) -> Target:
    """Return the warehouse of a target, which writes in the open transaction of `connection`."""
    return TARGETS.get(_scheme_of(publish.url_env), PostgresTarget)(publish, connection)


def _scheme_of(variable: str) -> str:
    """Return the scheme of the URL that `variable` holds, without a driver's name.

    Where the variable is not set or its URL has another scheme, PostgreSQL's connection starts the embedded server or
    raises the error.
    """
    scheme, _, _ = (read_database_url(variable) or "").partition("://")
    return scheme.partition("+")[0]
