"""Losses, and the networks and numbers that go with them."""
