"""The same requests to real Nova and to this service, on one Glance, and what differs."""
