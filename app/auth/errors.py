"""Errors of authentication."""


class Unauthenticated(Exception):
    """The request has no token, or one that Keystone does not know."""
