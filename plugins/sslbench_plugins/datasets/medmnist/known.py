"""The sets that are published as MedMNIST v2: names of their classes, which the files do not have.

Source: Yang et al., MedMNIST v2, Scientific Data 2023, and the table `INFO` of the package `medmnist`.
"""

from __future__ import annotations

import re

ORGANS = "bladder|femur-left|femur-right|heart|kidney-left|kidney-right|liver|lung-left|lung-right|pancreas|spleen"
CLASSES = {
    "pathmnist": "adipose|background|debris|lymphocytes|mucus|smooth muscle|normal colon mucosa"
    "|cancer-associated stroma|colorectal adenocarcinoma epithelium",
    "dermamnist": "actinic keratoses and intraepithelial carcinoma|basal cell carcinoma|benign keratosis-like lesions"
    "|dermatofibroma|melanoma|melanocytic nevi|vascular lesions",
    "octmnist": "choroidal neovascularization|diabetic macular edema|drusen|normal",
    "pneumoniamnist": "normal|pneumonia",
    "retinamnist": "0|1|2|3|4",
    "breastmnist": "malignant|normal, benign",
    "bloodmnist": "basophil|eosinophil|erythroblast"
    "|immature granulocytes(myelocytes, metamyelocytes and promyelocytes)|lymphocyte|monocyte|neutrophil|platelet",
    "tissuemnist": "Collecting Duct, Connecting Tubule|Distal Convoluted Tubule|Glomerular endothelial cells"
    "|Interstitial endothelial cells|Leukocytes|Podocytes|Proximal Tubule Segments|Thick Ascending Limb",
    "organamnist": ORGANS,
    "organcmnist": ORGANS,
    "organsmnist": ORGANS,
}
"""as published, in the order of the labels"""
FINDINGS = {
    "chestmnist": "atelectasis|cardiomegaly|effusion|infiltration|mass|nodule|pneumonia|pneumothorax|consolidation"
    "|edema|emphysema|fibrosis|pleural|hernia"
}
"""of sets with several labels an image"""
SIDES = (28, 64, 128, 224)
"""pixels"""
NAMES = tuple(sorted([*CLASSES, *FINDINGS]))


def set_of(file_name: str) -> str:
    """The set that a file is of, by its name without ending: ``pathmnist`` of ``pathmnist_64``; or any other name."""
    return re.sub(r"[-_]\d+$", "", file_name.lower())


def class_names(file_name: str, count: int) -> list[str]:
    """Of labels 0..count-1: as published, else their numbers."""
    return names_in(CLASSES.get(set_of(file_name), ""), count, "")


def finding_names(file_name: str, count: int) -> list[str]:
    """Of the columns of several labels: as published, else numbered."""
    return names_in(FINDINGS.get(set_of(file_name), ""), count, "label_")


def names_in(words: str, count: int, before: str) -> list[str]:
    """Those between bars, where there are at least so many; else numbers."""
    names = words.split("|")
    return names if words and len(names) >= count else [f"{before}{number}" for number in range(count)]
