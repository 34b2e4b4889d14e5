"""From a suite to the cells it means: read, resolve, cross, merge."""
