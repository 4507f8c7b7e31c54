"""Thin Dagster wrappers around the stages: read, call, write, return metadata."""
