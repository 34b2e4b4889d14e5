"""The plugins that the harness itself names, where neither a user, a suite nor a data set names one."""

from __future__ import annotations

AUGMENTATION = "none"  # of a method that names no augmentation of its own
MASKING = "random"  # of a method that names no masking of its own
CURVE_EVALUATORS = ("knn", "label-free")  # evaluated during training, where ``curve_every`` asks for a curve
EXECUTOR, IN_PROCESS = "workers", "inline"  # where work runs; and where no other process has the plugins
PRETRAINED = "pretrained"  # the method that a folder or file given as a model stands for
LABELLED_IMAGES, UNLABELLED_IMAGES = "imagefolder", "images"  # data sets that a folder of images stands for
SAVED_BY_DATASETS = "hf-disk"  # the data set that a folder of Hugging Face's `datasets` stands for
BY_ENDING = {".parquet": "parquet", ".arrow": SAVED_BY_DATASETS, ".npz": "medmnist", ".tar": "webdataset"}
"""ending -> the data set that files of it, or folders of such files, stand for, as ``path``"""
