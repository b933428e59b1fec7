"""The commands beside `segment`, one story a file; `cli.py` gathers them."""
