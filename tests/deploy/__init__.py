"""What deploy/ holds, run for real as far as one machine can."""
