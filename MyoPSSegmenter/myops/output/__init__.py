"""Results into a folder: all or nothing, and of one patient."""
