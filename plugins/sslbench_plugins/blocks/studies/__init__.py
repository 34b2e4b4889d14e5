"""Parts of small studies without training: claims over seeds, tables, figures, and a user's own data."""
