"""Figures and the report: data in, bytes out."""
