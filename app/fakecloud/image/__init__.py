"""The embedded cloud's image API: Glance v2."""
