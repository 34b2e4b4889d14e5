"""Parts of augmentations."""
