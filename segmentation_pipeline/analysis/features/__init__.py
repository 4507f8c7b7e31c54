"""Columns of customers to columns of numbers."""
