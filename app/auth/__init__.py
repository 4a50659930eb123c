"""Who may ask: from a request to a `Caller`."""
