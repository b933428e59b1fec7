"""Weights: files, shipped packs, a store of the user's own."""
