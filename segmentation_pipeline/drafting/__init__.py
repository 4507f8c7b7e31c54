"""What `init` and `dg scaffold` write."""
