"""A list over Glance's pages, and its cache."""
