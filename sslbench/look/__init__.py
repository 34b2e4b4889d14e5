"""Pictures before any training: the images of a data set, their views and masks, and what is odd about them."""
