"""Calls to Keystone: login and token validation."""
