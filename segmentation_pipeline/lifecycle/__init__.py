"""What becomes of a snapshot: recorded, decided, published, scored, rolled back, retained, forgotten.

A rule that is named by its number, as in "(rule 8)", is in docs/rules.md.
"""
