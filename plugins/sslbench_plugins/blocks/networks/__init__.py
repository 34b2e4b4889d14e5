"""Parts of networks, and networks that others trained: their files, and timm's models."""
