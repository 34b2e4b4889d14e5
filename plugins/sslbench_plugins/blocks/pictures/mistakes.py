"""What a classifier gets wrong: the confusion matrix, and the mistakes that it is surest of."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sslbench import (
    EvaluationData,
    Picture,
    ShownImages,
    Tile,
    class_words,
    confusion_matrix,
    drawable_names,
    grid,
    most_confused,
    with_names,
)

WORST, COLUMNS = 12, 6


def mistakes(data: EvaluationData, logits: Tensor, labels: Tensor) -> Iterator[Picture]:
    """Where pictures are looked at: the confusion matrix, and the worst mistakes, if there are any. ``logits`` float
    ``[M, C]`` and ``labels`` int64 ``[M]`` of the test images."""
    if data.shown is None:
        return
    probabilities = logits.detach().double().softmax(dim=1).cpu()
    sure, predicted = probabilities.max(dim=1)
    true = labels.cpu()
    yield confusion(data.shown, true, predicted, data.classes)
    wrong = (true != predicted).nonzero().flatten()
    if len(wrong):
        worst = wrong[sure[wrong].argsort(descending=True, stable=True)[:WORST]]
        yield worst_mistakes(data.shown, worst, (true[worst], predicted[worst], sure[worst]), (len(wrong), len(true)))


def confusion(shown: ShownImages, true: Tensor, predicted: Tensor, classes: int) -> Picture:
    """Of int64 ``[M]`` true and predicted classes."""
    counts = torch.zeros(classes * classes, dtype=torch.int64)
    counts = counts.scatter_add_(0, true * classes + predicted, torch.ones_like(true)).view(classes, classes)
    occurring = int((counts.sum(dim=0) + counts.sum(dim=1) > 0).sum())
    wrong = counts - counts.diag().diag()
    mistaken, named = int(wrong.sum()), most_confused(counts)
    which = f"the {len(named)} classes with the most mistakes" if mistaken else f"the first {len(named)} classes"
    caption = (
        f"Confusion matrix of {len(true):,} test images of {occurring:,} classes: a row for each true class, a column"
        f" for each predicted one{f'; {which} by name, the others together' if occurring > len(named) else ''}."
    )
    if mistaken:
        cell = int(wrong.flatten().argmax())
        names = class_words(shown.class_names, classes)
        times = "once" if int(wrong.max()) == 1 else f"{int(wrong.max()):,} times"
        caption += (
            f" {mistaken:,} wrong; the commonest mistake, {times}, takes"
            f" {names[cell // classes]} for {names[cell % classes]}."
        )
    else:
        caption += " None is wrong."
    caption = with_names(caption, shown.class_names, named)
    return Picture("confusion", confusion_matrix(counts, drawable_names(shown.class_names, classes)), caption)


def worst_mistakes(
    shown: ShownImages, images: Tensor, found: tuple[Tensor, Tensor, Tensor], counts: tuple[int, int]
) -> Picture:
    """Of test images ``[W]``; ``found``: their true and predicted classes and the probability of the latter;
    ``counts``: of all mistakes and of all test images."""
    true, predicted, sure = (values.tolist() for values in found)
    classes = max(*true, *predicted) + 1
    drawn, words = drawable_names(shown.class_names, classes), class_words(shown.class_names, classes)
    pixels = shown.pixels("test", images)
    tiles = [
        Tile(pixels[row], f"is {drawn[true[row]]}\nseen as {drawn[predicted[row]]}\n{sure[row]:.0%} sure")
        for row in range(len(images))
    ]
    caption = (
        f"The {len(images)} of {counts[0]:,} mistakes on {counts[1]:,} test images that the classifier is surest of,"
        f" the surest first: below each what it is, what it was taken for and with which probability; the first is"
        f" {words[true[0]]}, taken for {words[predicted[0]]} with {sure[0]:.0%}."
    )
    caption = with_names(caption, shown.class_names, [*true, *predicted])
    return Picture("worst-mistakes", grid(tiles, COLUMNS, side=112), caption)
