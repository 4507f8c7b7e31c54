"""What the customers of a segment are like."""
