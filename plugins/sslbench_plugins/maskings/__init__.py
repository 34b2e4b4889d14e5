"""Built-in maskings: which patches of an image are masked."""
