"""The shop of the pages with two published months, once for all tests that only read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import psycopg
import pytest
from support.shop_world import MONTHS, make_shop, write_shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@pytest.fixture(scope="session")
def published_shop(
    new_database: Callable[[], AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a database in which `shop` has February and March; segment 3 has the name that the pages use."""
    from segmentation_pipeline.orchestration.decisions import rename
    from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
    from segmentation_pipeline.orchestration.runs.execute import run_partition

    folder = tmp_path_factory.mktemp("shop")
    with new_database() as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("SEGMENTATION_DATABASE_URL", url)
        environment.setenv("SEGMENTATION_HOME", str(folder / "home"))
        environment.setenv("SEGMENTATION_DEFS", str(write_shop(folder / "defs")))
        make_shop(url)
        job = load_definitions().resolve_job_def("shop")
        with dg.DagsterInstance.ephemeral() as instance:
            for month in MONTHS[1:3]:
                outcome = run_partition(segmentations()["shop"], job, month, instance=instance)
                assert outcome.success, outcome.problems
        rename(segmentations()["shop"], 3, text="Lapsing big spenders", description=None)
        yield url


@pytest.fixture
def connection(published_shop: str) -> Iterator[psycopg.Connection]:
    """A connection to that database; the changes of a test are rolled back."""
    with psycopg.connect(published_shop) as opened:
        yield opened
        opened.rollback()
