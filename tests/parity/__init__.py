"""Compare real Nova and this service: the same requests, on the same Glance."""
