"""Who still uses the API, told from the service's own log."""
