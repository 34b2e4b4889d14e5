"""Plugins and metrics that the claims about training are measured with."""

CONTRASTIVE = "simclr"
"""method whose loss has its negatives counted"""
NETWORK = "convnet-small"
"""backbone of that count, and of the suggested runs"""
MASKED = "mae"
"""method that is said to train faster with fewer tokens"""
QUEUED = "moco"
"""method with a queue of negatives"""
EVALUATOR, TOP1 = "knn", "knn_top1"
"""evaluator of the suggested runs, and its metric: what counts as the quality of features"""
TRAINED_ALIKE = ("simclr", "moco", "byol", "dino", "simsiam")
"""methods of the suggested run that compares losses"""
