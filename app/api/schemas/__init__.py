"""Validate query strings and request bodies with marshmallow."""
