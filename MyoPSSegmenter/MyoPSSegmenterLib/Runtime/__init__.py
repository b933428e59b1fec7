"""Background work, events, packages, devices."""
