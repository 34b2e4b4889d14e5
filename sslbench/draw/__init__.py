"""Pictures out of images, numbers and words: grids of tiles, a confusion matrix, a map of thumbnails."""
