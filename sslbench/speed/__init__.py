"""Speed: suites of rows that are timed in turn, their records and table."""
