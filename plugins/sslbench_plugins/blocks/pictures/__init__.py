"""Pictures that several evaluators yield."""
