"""Compare the embedded image API with a real Glance: `make parity-glance`."""
