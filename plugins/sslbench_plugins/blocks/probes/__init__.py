"""Parts of evaluators."""
