"""What is logged, counted and traced."""
