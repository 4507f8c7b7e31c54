"""The connection of an open transaction, for rooms that open and pass one on and never write SQL themselves."""

from sqlalchemy import Connection

from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

__all__ = ["Connection", "transaction"]
