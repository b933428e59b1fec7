"""The networks, without their weights."""
