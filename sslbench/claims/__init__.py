"""Claims: sentences of the literature, tested by simulators and finished runs."""
