"""`nova-image-shim check`: find problems between the settings and the cloud, with their fixes."""
