"""Training of the cascade's networks on phantom patients (see Docs/how-to/training.md)."""
