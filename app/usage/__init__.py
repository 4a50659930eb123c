"""`nova-image-shim usage`: report from the log who still uses the API."""
