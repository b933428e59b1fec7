"""Scores against experts, simulated readers, baselines."""
