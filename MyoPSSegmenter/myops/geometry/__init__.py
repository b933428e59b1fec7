"""Grids of images: where voxels lie, and masks on them."""
