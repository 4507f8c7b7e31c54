"""Gates, approval and drift: whether a snapshot may be published."""
