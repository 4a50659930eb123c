"""Translate between Glance v2 and legacy Nova v2 with pure functions."""
