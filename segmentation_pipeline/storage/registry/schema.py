"""The tables of the `segmentation` schema, and bringing them up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

SCHEMA: Final = "segmentation"
HEAD: Final = "0001"
# any fixed number: two processes must not migrate at once
MIGRATION_LOCK: Final = 7_345_120_011

metadata = sa.MetaData(schema=SCHEMA)

segmentation = sa.Table(
    "segmentation",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("current_snapshot_id", sa.BigInteger),
    sa.Column("next_segment_id", sa.Integer, nullable=False),
    sa.Column("key_type", sa.Text, nullable=False),
    sa.Column("key_name", sa.Text, nullable=False),
)
snapshot = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("segmentation", sa.Text, nullable=False),
    sa.Column("partition", sa.Text, nullable=False),
    sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("parent_snapshot_id", sa.BigInteger),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("k", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("n_rows", sa.BigInteger, nullable=False),
    sa.Column("n_assigned", sa.BigInteger, nullable=False),
    sa.Column("n_unassigned", sa.BigInteger, nullable=False),
    sa.Column("n_rejected", sa.BigInteger, nullable=False),
    sa.Column("metrics", JSONB, nullable=False),
    sa.Column("encoding", JSONB, nullable=False),
    sa.Column("model", JSONB, nullable=False),
    sa.Column("library_versions", JSONB, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("data_version", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("published_at", sa.DateTime(timezone=True)),
)
centroid = sa.Table(
    "centroid",
    metadata,
    sa.Column("snapshot_id", sa.BigInteger, primary_key=True),
    sa.Column("segment_id", sa.Integer, primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("n_customers", sa.BigInteger, nullable=False),
    sa.Column("share", sa.Float(53), nullable=False),
    sa.Column("radius", sa.Float(53), nullable=False),
    sa.Column("center", ARRAY(sa.Float(53)), nullable=False),
    sa.Column("profile", JSONB, nullable=False),
)
segment = sa.Table(
    "segment",
    metadata,
    sa.Column("segmentation", sa.Text, primary_key=True),
    sa.Column("segment_id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_source", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("born_snapshot_id", sa.BigInteger, nullable=False),
)
lineage = sa.Table(
    "lineage",
    metadata,
    sa.Column("snapshot_id", sa.BigInteger, nullable=False),
    sa.Column("segment_id", sa.Integer, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("other_segment_id", sa.Integer),
    sa.Column("evidence", sa.Float(53)),
)
gate = sa.Table(
    "gate",
    metadata,
    sa.Column("snapshot_id", sa.BigInteger, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("value", sa.Float(53)),
    sa.Column("threshold", sa.Float(53)),
    sa.Column("message", sa.Text, nullable=False),
)
decision = sa.Table(
    "decision",
    metadata,
    sa.Column("decision_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("snapshot_id", sa.BigInteger, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("reason", sa.Text),
)


def migrate(variable: str) -> None:
    """Bring the `segmentation` schema of the database that `variable` names to the newest version.

    Where it has that version already, one query finds it out.

    Raises:
        ConfigurationError: the database cannot be reached.
        DatabaseError: the role may not create the schema.
    """
    with transaction(variable) as connection:
        if _read_version(connection) == HEAD:
            return
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        # not IF NOT EXISTS: that needs CREATE on the database even where the schema is there
        if connection.scalar(sa.text(f"SELECT to_regnamespace('{SCHEMA}')")) is None:
            connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
        from alembic import command  # only where there is something to migrate
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _read_version(connection: sa.Connection) -> str | None:
    if connection.scalar(sa.text(f"SELECT to_regclass('{SCHEMA}.alembic_version')")) is None:
        return None
    version = connection.scalar(sa.text(f"SELECT version_num FROM {SCHEMA}.alembic_version"))  # noqa: S608  a constant
    return str(version) if version is not None else None
