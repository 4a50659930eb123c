"""The embedded cloud's control plane and its page."""
