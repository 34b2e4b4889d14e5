"""Evaluation: frozen features, the evaluated model, curves, and running an evaluator."""
