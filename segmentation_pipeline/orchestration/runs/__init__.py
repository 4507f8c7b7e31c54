"""Runs of Dagster: how they are executed, ordered, watched and prepared."""
