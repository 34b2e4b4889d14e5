"""Runs a plan: a scheduler here, a worker anywhere, an executor between them."""
