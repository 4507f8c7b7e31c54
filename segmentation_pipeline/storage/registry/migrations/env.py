"""Run the migrations on the connection that `schema.migrate` hands over."""

from alembic import context

from segmentation_pipeline.storage.registry.schema import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()
