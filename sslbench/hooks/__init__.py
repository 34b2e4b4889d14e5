"""How plugins are found, what they bring, and what each kind must be."""
