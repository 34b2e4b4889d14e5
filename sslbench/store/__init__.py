"""Where results live: records in SQLite, weights and features in files, provenance of each."""
