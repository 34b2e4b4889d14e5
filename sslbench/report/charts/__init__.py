"""Charts of results, made with altair: one chart, one file. Each takes a ``View``."""
