"""Reproducibility study: readings of many cases, readers and sessions -> agreement. No torch."""
