"""Which segment a cluster is, and what happened to the segments since the parent."""
