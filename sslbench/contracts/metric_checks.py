"""What an evaluator may yield: what a record of it can hold, and what can be compared image by image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sslbench.contracts.evaluator import Metric
from sslbench.contracts.metric_names import metric_name_mistakes
from sslbench.errors import quoted


def metric_mistakes(metrics: Sequence[Any], images: int, headline: str = "") -> list[str]:
    """One line for each thing that is no metric, whose name it cannot have, or that has a field of a wrong type or
    range. ``images``: of the test split; ``headline``: the metric that must be among them, empty for none."""
    strangers = [item for item in metrics if not isinstance(item, Metric)]
    if strangers:
        return [f"yielded {quoted(strangers[0])}; allowed: Metric(name, value), Picture(name, image, caption)"]
    names = [metric.name for metric in metrics]
    mistakes = metric_name_mistakes(names)
    mistakes += [f"metric {quoted(m.name)}: {line}" for m in metrics for line in field_mistakes(m, images)]
    if headline and headline not in names:
        mistakes.append(f"metric {quoted(headline)}, its headline, is not among what it yielded: {given(names)}")
    return mistakes


def given(names: Sequence[Any]) -> str:
    """The first of some names."""
    return ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "") if names else "nothing"


def field_mistakes(metric: Metric, images: int) -> Iterator[str]:
    """One line for each field of a metric that a record cannot hold."""
    yield from number_mistakes("value", metric.value)
    yield from number_mistakes("std", metric.std, least=0)
    if metric.n is not None and not (isinstance(metric.n, int) or hasattr(metric.n, "__index__")):
        yield f"n = {quoted(metric.n)}; allowed: a number of draws, or None"
    else:
        yield from number_mistakes("n", metric.n, least=0)
    if metric.higher_is_better not in (True, False, None):
        yield f"higher_is_better = {quoted(metric.higher_is_better)}; allowed: True, False, None"
    for name in ("unit", "reason"):
        text = getattr(metric, name)
        if not isinstance(text, str):
            yield f"{name} = {quoted(text)}; allowed: a text"
    shape = tuple(getattr(metric.per_image, "shape", ()))
    if metric.per_image is not None and (shape != (images,) or not hasattr(metric.per_image, "detach")):
        what = f"shape {list(shape)}" if shape else f"a {type(metric.per_image).__name__}"
        yield f"per_image: {what}; allowed: a tensor with one value for each of {images} test images"


def number_mistakes(name: str, value: Any, least: float | None = None) -> Iterator[str]:
    """A line where a value is neither a number nor None, or is below the least. NaN and infinity are numbers here."""
    if value is None:
        return
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        yield f"{name} = {quoted(value)}; allowed: a number, or None"
        return
    if least is not None and number < least:
        yield f"{name} = {quoted(value)}; allowed: {least} or more, or None"
