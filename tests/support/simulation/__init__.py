"""A world with the truth known, and the measures of how well segment ids keep their meaning in it."""
