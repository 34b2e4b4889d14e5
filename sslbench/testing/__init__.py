"""For plugin authors: small stand-ins, and the checks that every plugin must pass."""
