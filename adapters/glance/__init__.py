"""The image store that is a real Glance v2."""
