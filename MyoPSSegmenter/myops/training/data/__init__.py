"""From patients to batches."""
