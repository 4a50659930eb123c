"""`nova-image-shim compare`: whether the service answers as the cloud's own Nova does."""
