"""Random inputs: `make fuzz` runs many, `make test` some. Findings become tests of their own."""
