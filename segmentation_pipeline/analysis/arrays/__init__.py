"""Rows in blocks, groups, distances, threads: nothing of the domain."""
