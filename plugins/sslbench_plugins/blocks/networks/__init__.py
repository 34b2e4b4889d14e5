"""Parts of networks, and networks that others trained."""
