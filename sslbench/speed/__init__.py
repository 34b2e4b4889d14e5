"""Speed: suites of rows that are timed in turn, their records and table."""

SUITE = "mae-speedup"
"""The one default that names something built in: the suite that is measured when none is named."""
