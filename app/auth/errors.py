"""Errors of authentication."""

from __future__ import annotations


class Unauthenticated(Exception):
    """The request has no token, or one that Keystone does not know."""
