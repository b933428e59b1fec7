"""Image files in, results out: reading with every check, writing whole or not at all."""
