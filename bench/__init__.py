"""How fast the service is, beside a floor, plain nginx, glanceclient's models and real Nova."""
