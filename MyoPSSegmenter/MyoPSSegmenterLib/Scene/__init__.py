"""Nodes of the scene, and nothing else."""
