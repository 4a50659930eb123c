"""Test the service with real clients of several languages and ages."""
