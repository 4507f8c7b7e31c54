"""The algorithms: a file each, with the record of what there is to know about it."""
