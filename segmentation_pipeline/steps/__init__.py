"""The computations of the stages, written once for every engine; no Dagster."""
