"""Advice: which model to use on a folder of images, and what comes of it."""
