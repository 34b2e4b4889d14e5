"""For plugin authors: tiny plugins to try things on, and the checks that every plugin must pass."""
