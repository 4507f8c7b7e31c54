"""What is wrong with a machine, a database or its privileges."""
