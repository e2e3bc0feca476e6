"""How the CPU kernels are compiled, and how their threads live beside PyTorch's (chapter 5).

numba compiles a kernel when it is first called and keeps the code on disk; that first call takes
seconds, and says so.
"""

import os
import sys
import types
from contextlib import contextmanager

import numba
import torch
from numba import njit
from numba.core import event

# numba's default order would take a layer that is not safe when called from several threads
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

# Sums may be reordered (that is what lets them run in vector registers); NaN and infinity are kept.
LOOSE = {"reassoc", "contract", "nsz", "arcp"}

_others = ("comprehension", "fusion", "numpy", "reduction", "setitem", "stencil")
PARALLEL = {"prange": True} | dict.fromkeys(_others, False)
"""For ``compiled(parallel=...)``: threads where the kernel says so, and nowhere else."""


def compiled(**options):
    """numba's njit; what it compiles is kept on disk wherever there is a folder it may write to.

    A division by zero gives infinity, as in NumPy.
    """

    def decorate(function):
        if options.get("parallel"):
            # code on disk goes by the function's name, whatever the options: this is another one
            name = f"{function.__name__}_threads"
            function = types.FunctionType(function.__code__, function.__globals__, name)
            function.__qualname__ = name
        settings = {"nogil": True, "error_model": "numpy", **options}
        try:
            return njit(cache=True, **settings)(function)
        except RuntimeError:  # neither the package's folder nor the user's cache is writable
            return njit(**settings)(function)

    return decorate


_ready = set()


@contextmanager
def announced(*key):
    """Say on stderr if anything is compiled inside; `key` names what need not be watched again."""
    if key in _ready:
        yield
        return
    with event.install_listener("numba:compile", _Notice()):
        yield
    _ready.add(key)


def call(function, *arguments):
    """Call a compiled function of arrays, the third of the system's dtype; see `announced`."""
    with announced(function, arguments[2].dtype):
        return function(*arguments)


class _Notice(event.Listener):
    """One line on stderr when numba begins to compile; SOFTCUT_QUIET=1 in the environment: none."""

    told = False

    def on_start(self, event):
        if not self.told and os.environ.get("SOFTCUT_QUIET", "") in ("", "0"):
            self.told = True
            print(
                "softcut: compiling the fused kernel for this machine (once, up to 20 s)",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, event):
        pass


@contextmanager
def numba_threads(count):
    """Let parallel kernels use as many threads as PyTorch does, and leave PyTorch its number."""
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        if torch.get_num_threads() != count:
            # numba's pool, when it starts, sets OpenMP's count for the process, PyTorch's too
            torch.set_num_threads(count)
