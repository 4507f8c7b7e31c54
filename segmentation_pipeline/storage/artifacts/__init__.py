"""Files: artifacts with manifests."""
