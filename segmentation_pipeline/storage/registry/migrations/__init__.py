"""Alembic migrations of the `segmentation` schema."""
