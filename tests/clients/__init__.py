"""Real clients, of several languages and years, against the service."""
