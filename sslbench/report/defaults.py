"""The evaluators that tables treat in a way of their own."""

from __future__ import annotations

PROBES = ("knn", "linear-probe")
"""whose metrics the others are held against, and of which there are published numbers"""
LABEL_FREE = ("label-free",)
"""whose metrics describe features and do not say what they are good for"""
LITERATURE = "imagenet"
"""the data set of the literature, shown beside whatever was measured"""
