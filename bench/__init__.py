"""Benchmark the service against a floor, plain nginx, glanceclient's models and real Nova."""
