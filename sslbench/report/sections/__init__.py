"""Sections of `results`: what stands below or in the place of the first table."""
