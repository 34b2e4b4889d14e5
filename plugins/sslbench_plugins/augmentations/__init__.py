"""Built-in augmentations: random views of images."""
