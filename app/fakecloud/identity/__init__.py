"""The embedded cloud's identity: Keystone v3 and v2.0."""
