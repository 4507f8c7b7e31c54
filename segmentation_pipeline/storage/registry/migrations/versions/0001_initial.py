"""The tables of the first version."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DDL = """
CREATE TABLE segmentation.segmentation (
    name text PRIMARY KEY,
    current_snapshot_id bigint,
    next_segment_id integer NOT NULL DEFAULT 1 CHECK (next_segment_id >= 1),
    key_type text NOT NULL,
    key_name text NOT NULL
);
CREATE TABLE segmentation.snapshot (
    snapshot_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    segmentation text NOT NULL REFERENCES segmentation.segmentation,
    partition text NOT NULL,
    as_of timestamptz NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    status text NOT NULL CHECK (status IN
        ('candidate', 'rejected', 'waiting', 'published', 'declined', 'superseded', 'rolled_back')),
    parent_snapshot_id bigint REFERENCES segmentation.snapshot,
    run_id text NOT NULL,
    algorithm text NOT NULL,
    k integer NOT NULL,
    seed bigint NOT NULL,
    n_rows bigint NOT NULL,
    n_assigned bigint NOT NULL,
    n_unassigned bigint NOT NULL,
    n_rejected bigint NOT NULL,
    metrics jsonb NOT NULL,
    encoding jsonb NOT NULL,
    model jsonb NOT NULL,
    library_versions jsonb NOT NULL,
    code_version text NOT NULL,
    data_version text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    UNIQUE (segmentation, partition, version)
);
ALTER TABLE segmentation.segmentation
    ADD FOREIGN KEY (current_snapshot_id) REFERENCES segmentation.snapshot;
-- one published version of a partition, whatever the code does
CREATE UNIQUE INDEX snapshot_published ON segmentation.snapshot (segmentation, partition) WHERE status = 'published';
CREATE TABLE segmentation.segment (
    segmentation text NOT NULL REFERENCES segmentation.segmentation,
    segment_id integer NOT NULL CHECK (segment_id >= 1),
    name text NOT NULL,
    name_source text NOT NULL CHECK (name_source IN ('automatic', 'person')),
    description text,
    born_snapshot_id bigint NOT NULL REFERENCES segmentation.snapshot,
    PRIMARY KEY (segmentation, segment_id)
);
CREATE TABLE segmentation.centroid (
    snapshot_id bigint NOT NULL REFERENCES segmentation.snapshot,
    segment_id integer NOT NULL,
    ordinal integer NOT NULL,
    n_customers bigint NOT NULL,
    share double precision NOT NULL,
    radius double precision NOT NULL,
    center double precision[] NOT NULL,
    profile jsonb NOT NULL,
    PRIMARY KEY (snapshot_id, segment_id, ordinal)
);
CREATE TABLE segmentation.lineage (
    snapshot_id bigint NOT NULL REFERENCES segmentation.snapshot,
    segment_id integer NOT NULL,
    event text NOT NULL CHECK (event IN ('kept', 'born', 'retired', 'returned', 'split_from', 'merged_into')),
    other_segment_id integer,
    evidence double precision
);
CREATE INDEX lineage_snapshot ON segmentation.lineage (snapshot_id, segment_id);
CREATE TABLE segmentation.gate (
    snapshot_id bigint NOT NULL REFERENCES segmentation.snapshot,
    name text NOT NULL,
    passed boolean NOT NULL,
    severity text NOT NULL CHECK (severity IN ('warn', 'block')),
    value double precision,
    threshold double precision,
    message text NOT NULL,
    PRIMARY KEY (snapshot_id, name)
);
CREATE TABLE segmentation.decision (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    snapshot_id bigint NOT NULL REFERENCES segmentation.snapshot,
    action text NOT NULL CHECK (action IN ('approve', 'decline', 'rollback')),
    who text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    reason text
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(DDL)
