"""Built-in simulators: small studies without training, and the claims that they test."""
