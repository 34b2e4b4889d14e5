"""One training loop for every method, its views, optimizers, checkpoints, and the features it leaves."""
