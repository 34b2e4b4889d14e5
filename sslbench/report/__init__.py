"""Records as tables: what was measured, on one line a recipe."""
