"""Training in several processes: what the ranks exchange."""
