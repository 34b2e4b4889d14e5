"""Built-in backbones: networks that turn images into features."""
