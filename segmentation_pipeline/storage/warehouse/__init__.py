"""Databases that customers are read from and segments written to."""
