"""What happens when everything from outside fails: a table of faults, run cell by cell."""
