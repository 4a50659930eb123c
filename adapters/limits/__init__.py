"""Limiter, single-flight and breaker."""
