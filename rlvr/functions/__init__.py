"""Functions in Python files of a user's own: found and checked (`source`), called in processes (`pool`)."""
