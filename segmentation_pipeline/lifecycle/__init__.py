"""What becomes of a snapshot: recorded, decided, published, scored, rolled back, retained, forgotten."""
