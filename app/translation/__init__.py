"""Between Glance v2 and legacy Nova v2: pure functions."""
