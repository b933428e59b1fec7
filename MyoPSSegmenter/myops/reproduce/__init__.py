"""The published systems beside their baselines: from a data set to the papers' tables."""
