"""Which segment a cluster is."""
