"""What is wrong with this clustering, and what to change in the YAML: findings, most of them from a sample."""
