"""Test failures of every dependency: a table of faults, run cell by cell."""
