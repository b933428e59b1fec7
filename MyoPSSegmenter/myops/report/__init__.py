"""Pictures and the self-contained report."""
