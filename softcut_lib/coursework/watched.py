"""What every function under test is watched for, whatever it computes.

A function that returns nothing or changes what it was given fails a statement far from the cause,
or spoils the input that the statement goes on with; an answer narrower than its input may miss by
rounding alone. All three are told in plain words.
"""

from inspect import signature

import networkx as nx
import torch


class Watched:
    """A function that is called as before; `hint` says what its last answers may suffer from."""

    def __init__(self, function):
        self.function, self.hint = function, ""
        try:
            self.names = list(signature(function).parameters)
        except (TypeError, ValueError):  # a built-in function has no signature to read
            self.names = []

    def __call__(self, *arguments, **options):
        given = dict(self._given(arguments, options))
        before = {name: _copy(value) for name, value in given.items()}
        answer = self.function(*arguments, **options)
        assert answer is not None, "the function returned None: does it end in a `return`?"
        for name, value in given.items():
            assert _same(value, before[name]), (
                f"the function changed `{name}`, which it was given, and whoever called it goes on "
                "with that; work on a copy, `.clone()` of a tensor, `.copy()` of a circuit"
            )
        wide, narrow = _widest(given.values()), _narrowest([answer])
        if wide and narrow and torch.finfo(narrow).eps > torch.finfo(wide).eps:
            self.hint = (
                f" (The answer is {narrow}, what the function was given {wide}: that alone loses "
                "digits. torch.tensor and torch.zeros take a dtype, zeros_like needs none.)"
            )
        return answer

    def _given(self, arguments, options):
        """(name, tensor or circuit) of all that was given, lists of tensors one by one."""
        named = [
            (self.names[k] if k < len(self.names) else f"argument {k + 1}", value)
            for k, value in enumerate(arguments)
        ]
        for name, value in [*named, *options.items()]:
            if isinstance(value, (torch.Tensor, nx.Graph)):
                yield name, value
            elif isinstance(value, (list, tuple)):
                for k, part in enumerate(value):
                    if isinstance(part, torch.Tensor):
                        yield f"{name}[{k}]", part


def _copy(value):
    return value.detach().clone() if isinstance(value, torch.Tensor) else value.copy()


def _same(value, before):
    if isinstance(value, torch.Tensor):
        return torch.equal(value.detach(), before)
    return nx.utils.graphs_equal(value, before)


def _floats(values):
    for value in values:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            yield value.dtype
        elif isinstance(value, (list, tuple)):
            yield from _floats(value)


def _widest(values):
    return min(_floats(values), key=lambda dtype: torch.finfo(dtype).eps, default=None)


def _narrowest(values):
    return max(_floats(values), key=lambda dtype: torch.finfo(dtype).eps, default=None)
