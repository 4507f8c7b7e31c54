"""Which K, and whether there are groups at all."""
