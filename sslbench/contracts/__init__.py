"""What a plugin is: one kind, one file, with its protocol or base class, its spec, and what it is given."""
