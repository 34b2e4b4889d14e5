"""Parts of simulators and tables."""
