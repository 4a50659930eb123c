"""Stores of bytes: in this process, in memcached, signed."""
