"""The plugins that the harness itself names, where neither a user, a suite nor a data set names one."""

from __future__ import annotations

AUGMENTATION = "none"  # of a method that names no augmentation of its own
MASKING = "random"  # of a method that names no masking of its own
CURVE_EVALUATORS = ("knn", "label-free")  # evaluated during training, where ``curve_every`` asks for a curve
EXECUTOR, IN_PROCESS = "workers", "inline"  # where work runs; and where no other process has the plugins
PRETRAINED = "pretrained"  # the method that a folder or file given as a model stands for
LABELLED_IMAGES, UNLABELLED_IMAGES, PARQUET = "imagefolder", "images", "parquet"  # data sets that a path stands for
