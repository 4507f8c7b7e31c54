"""Everything that Dagster runs and shows."""
