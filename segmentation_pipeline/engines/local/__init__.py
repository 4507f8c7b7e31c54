"""This machine: blocks and threads."""
