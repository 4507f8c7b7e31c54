"""Engines: how a kernel is run over the blocks of a dataset."""
