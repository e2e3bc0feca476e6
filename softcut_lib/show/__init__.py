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
    return {
        name: module
        for module in _modules()
        for name in import_module(f"{__name__}.{module}").__all__
    }


def __getattr__(name):
    # A module of this folder that is asked for by name (`show.style`), or one of their plots.
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _modules():
        return import_module(f"{__name__}.{name}")
    names = _names()
    if name not in names:
        near = get_close_matches(name.removeprefix("show_"), names, 3) or sorted(names)
        raise AttributeError(f"show has no plot {name!r}; there is {', '.join(near)}")
    value = getattr(import_module(f"{__name__}.{names[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_names()])
