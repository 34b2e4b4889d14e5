"""Reading images, labels and tables from files."""
