"""Logs, metrics, and the trace of each request."""
