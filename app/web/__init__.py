"""What every HTTP API here shares."""
