"""Fitting a clustering, and labelling rows by it."""
