"""Which recipe of A stands against which of B, and what both are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sslbench.errors import UserError, did_you_mean
from sslbench.report.names import KINDS as NAMED
from sslbench.report.rows import AXES, IN_AN_AXIS, KINDS, Row, as_text, assigned, distinguishing


def check_across(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Raises UserError for what is neither an axis nor a parameter of these rows."""
    parameters = [f"{kind}.{name}" for row in rows for kind in KINDS for name in row.params[kind]]
    allowed = list(dict.fromkeys([*AXES, *parameters]))
    words = f"(allowed: {', '.join(AXES)}, and parameters such as training.precision)"
    mistakes = [
        f"--across {name!r}: no axis or parameter of these results{did_you_mean(name, allowed)} {words}"
        for name in names
        if name not in allowed
    ]
    if mistakes:
        raise UserError(*mistakes)


def by_key(rows: Sequence[Row], across: Sequence[str], side: str) -> dict[str, Row]:
    """Rows by what they are, without what may differ."""
    keyed: dict[str, Row] = {}
    for row in rows:
        key = key_of(row, across)
        if key in keyed:
            raise UserError(f"--across {' '.join(across)}: several recipes of {side} differ in nothing else")
        keyed[key] = row
    return keyed


def key_of(row: Row, across: Sequence[str]) -> str:
    """The axes and parameters in which a pair must agree."""
    ignored = {tuple(name.split(".", 1)) for name in across if "." in name}
    ignored |= IN_AN_AXIS if "mask_ratio" in across else set()
    axes = {axis: value for axis, value in row.axes.items() if axis not in across}
    params = {
        kind: {name: value for name, value in settings.items() if (kind, name) not in ignored}
        for kind, settings in row.params.items()
        if kind not in across
    }
    return as_text([axes, params])


def recipe_names(rows: Mapping[str, Row], across: Sequence[str]) -> dict[str, str]:
    """Each row in words: its method, and whatever else tells rows apart."""
    parameters = distinguishing(list(rows.values()))
    words: dict[str, list[str]] = {key: [] for key in rows}
    for kind in NAMED:
        column = {key: name_of(row, kind, parameters[kind, row.name(kind)], across) for key, row in rows.items()}
        if kind == "method" or len(set(column.values())) > 1:
            for key, text in column.items():
                words[key] += [text] if text else []
    return {key: " · ".join(parts) for key, parts in words.items()}


def name_of(row: Row, kind: str, parameters: Sequence[str], across: Sequence[str]) -> str:
    """A plugin's name with these parameters, those left out in which a pair may differ."""
    text = assigned(row.params[kind], [name for name in parameters if f"{kind}.{name}" not in across])
    if kind in across or kind == "training":
        return text
    ratio = row.axes["mask_ratio"]
    if kind == "masking" and ratio is not None and "mask_ratio" not in across:
        text = ", ".join(filter(None, [f"ratio={ratio:g}", text]))
    return f"{row.name(kind)} ({text})" if text else row.name(kind)
