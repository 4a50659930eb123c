"""Everything asked of Keystone."""
