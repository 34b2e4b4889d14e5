"""Scenes of shapes whose factors are known."""
