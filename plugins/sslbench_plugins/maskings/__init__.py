"""Built-in maskings."""
