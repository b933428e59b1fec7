"""Segments, transmurality, polar maps, salvage."""
