"""nnU-Net as the external reference."""
