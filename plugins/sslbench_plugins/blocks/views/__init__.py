"""Parts of augmentations: crops, colours and blur of batches, each sample with its own parameters."""
