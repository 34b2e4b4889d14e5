"""Plugins and metrics that advice uses where the user names none."""

BACKBONE = "convnet-small"
"""of a method that needs one, and of the network trained from scratch"""

PROBE, PROBE_METRIC = "linear-probe", "linear_top1"
"""evaluator that models are compared by and that fits the head"""
KNN, KNN_METRIC = "knn", "knn_top1"
FEW_LABEL, FEW_LABEL_METRIC = "few-label", "few_label_top1@"
"""its metrics end in the number of labels a class"""
FINE_TUNE = "fine-tune"
LABEL_FREE = "label-free"

RAW_PIXELS, UNTRAINED = "raw-pixels", "random-init"
"""baselines: methods without training"""
SUPERVISED = "supervised"
"""method that trains from scratch on labels"""
SELF_SUPERVISED = "simclr"
"""method to pretrain with where no model serves"""
