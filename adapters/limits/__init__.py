"""How many requests at once, and none while a service is down."""
