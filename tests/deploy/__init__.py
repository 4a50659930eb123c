"""Run the files in deploy/ for real, as far as one machine can."""
