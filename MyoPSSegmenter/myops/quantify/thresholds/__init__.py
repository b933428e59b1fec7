"""Conventional rules for scar, and what they stand on."""
