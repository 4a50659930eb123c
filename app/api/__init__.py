"""The legacy Nova v2 image API."""
