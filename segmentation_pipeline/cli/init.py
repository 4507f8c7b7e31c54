"""The command that begins a segmentation: it looks at a table and writes a first defs.yaml."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segmentation_pipeline.cli.checkout import ROOT
from segmentation_pipeline.cli.group import main, segmentations

if TYPE_CHECKING:
    from segmentation_pipeline.drafting.defs_yaml import Draft


@main.command()
@click.argument("name")
@click.option("--table", metavar="SCHEMA.TABLE", required=True, help="The table or view with a row per customer.")
@click.option("--key", metavar="COLUMN", required=True, help="The column that identifies a customer.")
@click.option(
    "--target-table",
    "target",
    metavar="SCHEMA.TABLE",
    help="Where the segments go. Default: the table itself if it has a segment_id column, else public.NAME_segments.",
)
def init(name: str, table: str, key: str, target: str | None) -> None:
    r"""Look at a table and write a commented defs.yaml for it.

    NAME is the name of the new segmentation. Nothing in the database is changed. The file goes into the folder that
    SEGMENTATION_DEFS names or, in a checkout of the project, into segmentation_pipeline/defs.

    \b
    Example:
      segmentation init customers --table public.customers --key customer_id
    """
    import yaml
    from pydantic import ValidationError

    from segmentation_pipeline.cli.views import show_draft
    from segmentation_pipeline.drafting.defs_yaml import write_defs_yaml
    from segmentation_pipeline.orchestration.discovery import describe_errors
    from segmentation_pipeline.spec import SegmentationSpec

    try:  # the name, the key and the target are checked before the table is read
        SegmentationSpec.model_validate(_make_smallest_spec(name, table, key, target))
    except ValidationError as error:
        raise click.UsageError(describe_errors(error)) from None
    folder = _choose_folder(name)
    draft = _make_draft(name, table, key, target)
    text = write_defs_yaml(draft)
    SegmentationSpec.model_validate(yaml.safe_load(text)["attributes"])
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(text, encoding="utf-8")
    show_draft(draft, _shorten(folder / "defs.yaml"))


def _make_draft(name: str, table: str, key: str, target: str | None) -> "Draft":
    from segmentation_pipeline.drafting.columns import plan_columns
    from segmentation_pipeline.drafting.defs_yaml import Draft
    from segmentation_pipeline.orchestration.partitions import find_latest_partition, find_period
    from segmentation_pipeline.spec import PartitionsSpec, SourceSpec
    from segmentation_pipeline.storage.warehouse.open import source_for

    now = datetime.now(tz=UTC)
    since = PartitionsSpec(start="2000-01-01")
    start = find_latest_partition(since, now) or since.start
    period = find_period(since, start)
    source = source_for(SourceSpec(table=table, key=key), timezone="UTC")
    found = source.inspect(table, period)
    place = source.propose_target(found, name, wanted=target)
    columns = plan_columns(
        found.sample, key=key, as_of=period.as_of, column_types=found.column_types, n_distinct=found.n_distinct
    )
    part = "all of them" if len(found.sample) == found.n_rows else f"a sample of {len(found.sample):,}"
    return Draft(
        name=name,
        table=found.table,
        key=key,
        start=start,
        target=place.table,
        target_key=place.key,
        mode=place.mode,
        columns=columns,
        remarks=(f"Looked at on {now:%Y-%m-%d}: {found.n_rows:,} rows of {found.table}, {part}.",),
        key_remark=f"unique and not null in all {found.n_rows:,} rows",
        statement=place.statement,
    )


def _make_smallest_spec(name: str, table: str, key: str, target: str | None) -> dict[str, object]:
    return {
        "name": name,
        "source": {"table": table, "key": key},
        "partitions": {"start": "2000-01-01"},
        "publish": {"table": target or table, "key": key},
    }


def _choose_folder(name: str) -> Path:
    """Return the folder that the new segmentation gets.

    Raises:
        click.UsageError: the folder or the name is taken, or there is no place for it.
    """
    from segmentation_pipeline.runtime.settings import DEFS_VARIABLE, read_defs_folder

    named = read_defs_folder()
    if not named and not (ROOT / "pyproject.toml").is_file():
        message = (
            f"{DEFS_VARIABLE} is not set, and the package is installed, so its own folder cannot be used. "
            f'Choose a folder:  export {DEFS_VARIABLE}="$PWD/segmentations"'
        )
        raise click.UsageError(message)
    place = Path(named).expanduser().resolve() if named else ROOT / "segmentation_pipeline" / "defs"
    place.mkdir(parents=True, exist_ok=True)
    folder = place / name
    if folder.exists():
        message = f"{_shorten(folder)} is there already and stays as it is; remove it, or choose another name"
        raise click.UsageError(message)
    if name in segmentations():
        message = (
            f"a segmentation is called {name} already, in another folder of {_shorten(place)}; choose another name"
        )
        raise click.UsageError(message)
    return folder


def _shorten(path: Path) -> str:
    """Return the path as the person at the keyboard would write it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
