"""Everything that touches disk or database."""
