"""The books: the `segmentation` schema in the target database.

A rule that is named by its number, as in "(rule 8)", is in docs/rules.md.
"""
