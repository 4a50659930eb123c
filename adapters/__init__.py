"""Image stores: the port that the service asks (`port`) and what stands behind it."""
