"""What several tests need: worlds, a chain to run, servers, the registry to fill."""
