"""Figures and sliders of the book: one call per plot, each with an alternative text.

``show.images(...)`` and the like are loaded when first used; every public name of a module in
this folder is found here.
"""

import pkgutil
from difflib import get_close_matches
from importlib import import_module


def _modules():
    return [info.name for info in pkgutil.iter_modules(__path__)]


def _names():
    return [name for m in _modules() for name in import_module(f"{__name__}.{m}").__all__]


def __getattr__(name):
    # A module of this folder that is asked for by name (`show.style`), or one of their plots.
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _modules():
        return import_module(f"{__name__}.{name}")
    for module in map(import_module, (f"{__name__}.{m}" for m in _modules())):
        if name in module.__all__:
            return getattr(module, name)
    near = get_close_matches(name.removeprefix("show_"), _names(), 3) or sorted(_names())
    raise AttributeError(f"show has no plot {name!r}; there is {', '.join(near)}")


def __dir__():
    return sorted([*globals(), *_names()])
