"""Numbers from a segmentation: masses, conventional thresholds, the remote region. No torch."""
