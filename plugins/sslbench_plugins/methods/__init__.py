"""Built-in methods: ways to train an encoder without labels, and baselines."""
