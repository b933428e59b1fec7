"""A study's cases: which files they are, who read them, how long it took, and where it is kept."""
