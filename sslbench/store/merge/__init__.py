"""Results of several folders in one, as if all runs had been made into it."""
