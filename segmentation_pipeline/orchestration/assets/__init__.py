"""The assets, a file each."""
