"""Evaluation: frozen features, the evaluated model, and running an evaluator."""
