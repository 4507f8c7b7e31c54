"""Runs: executing, ordering, watching and preparing them."""
