"""What speaks against a clustering, and what to change."""
