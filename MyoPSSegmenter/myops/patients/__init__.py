"""From folders and files to one patient."""
