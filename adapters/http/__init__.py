"""Every call that goes out."""
