"""The type of an open transaction's connection, for rooms that pass one on and never write SQL themselves."""

from sqlalchemy import Connection

__all__ = ["Connection"]
