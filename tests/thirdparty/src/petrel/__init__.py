"""NNCLR, and what goes with it."""
