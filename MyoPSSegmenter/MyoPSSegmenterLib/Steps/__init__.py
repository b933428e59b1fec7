"""One class per step of the workflow."""
