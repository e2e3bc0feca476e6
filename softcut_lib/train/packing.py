"""How the content of a result file lies in it: what all rows have in common stands once.

    rows[k].test = common + own columns of row k

The names of the test images and the score of the constant answer are the data's, not a run's. With
794 tiles they would be half of every row. Chapter 10.
"""

from __future__ import annotations

import contextlib
import json
import re

COMMON = ("name", "constant")


def as_text(value: dict) -> str:
    """A result file's content as JSON, with one line for each list of plain values.

    Example:
        >>> rows = [{"seed": seed, "test": {"name": ["a"], "iou": [0.5]}} for seed in (0, 1)]
        >>> text = as_text({"rows": rows})
        >>> text.count('"name"'), unpack(json.loads(text)) == {"rows": rows}
        (1, True)
    """
    tests = [row["test"] for row in value["rows"]]
    common = {
        name: tests[0][name]
        for name in COMMON
        if all(name in test and test[name] == tests[0][name] for test in tests)
    }
    rows = [
        {**row, "test": {name: row["test"][name] for name in row["test"] if name not in common}}
        for row in value["rows"]
    ]
    return as_lines({**value, "common": common, "rows": rows})


def as_lines(value: dict) -> str:
    """JSON with one line for each list of plain values.

    Example:
        >>> as_lines({"a": [1, 2]})
        '{\\n "a": [ 1, 2 ]\\n}\\n'
    """
    text = json.dumps(value, indent=1, allow_nan=False)
    squeeze = lambda match: re.sub(r"\s*\n\s*", " ", match[0])  # noqa: E731
    return re.sub(r"\[[^\[\]{}]*\]", squeeze, text) + "\n"


def unpack(packed: dict) -> dict:
    """The content that `as_text` wrote down; what is not of that form is left as it is.

    Example:
        >>> unpack({"common": {"name": ["a"]}, "rows": [{"test": {"iou": [0.5]}}]})
        {'rows': [{'test': {'name': ['a'], 'iou': [0.5]}}]}
    """
    if not isinstance(packed, dict) or not isinstance(packed.get("common"), dict):
        return packed
    value = {name: inner for name, inner in packed.items() if name != "common"}
    with contextlib.suppress(TypeError, KeyError):  # `validate_results` says what is wrong
        value["rows"] = [{**r, "test": {**packed["common"], **r["test"]}} for r in packed["rows"]]
    return value
