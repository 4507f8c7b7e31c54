"""The books: the `segmentation` schema in the target database."""
