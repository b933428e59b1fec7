"""The automatic segmentation, from a Case to labels."""
