"""Where bytes are kept for a while."""
