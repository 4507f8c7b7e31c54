"""From columns of customers to columns of numbers."""
