"""What spans several processes."""
