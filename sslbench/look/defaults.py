"""Plugins that are shown where neither the user nor the data set names one."""

AUGMENTATION = "simclr"
MASKING = "random"
BACKBONE = "vit-tiny-small-image"
"""whose patches are masked"""
