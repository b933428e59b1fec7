"""One file per network: what it learns from, and by which loss."""
