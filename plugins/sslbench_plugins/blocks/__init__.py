"""Parts that two or more plugins share, each file named for what it is."""
