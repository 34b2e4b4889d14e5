"""One training loop for every method, its views, optimizers, and checkpoints."""
