"""Built-in simulators: small studies without training, and the sentences they judge."""
