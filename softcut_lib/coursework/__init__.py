"""Self-checks of the six assignments: what a function was asked, what it did, why it may fail.

A check runs property functions of `softcut_lib.theorems` on the function under test. The same
properties test this library, and grade with other seeds as hidden tests.
"""

import hashlib
import hmac
import os
import textwrap
import traceback
from functools import partial
from inspect import getdoc, signature
from pathlib import Path

import torch

from softcut_lib.coursework.watched import Watched

KEY, KEY_FILE = "SOFTCUT_COURSEWORK_KEY", "SOFTCUT_COURSEWORK_KEY_FILE"


def check(name, function, *, seed=0, draws=2):
    """Try a function on random input and say what holds, what does not, and the likely reason.

    Every statement of the check is a property function of `softcut_lib.theorems`, tried on `draws`
    random problems; what is printed names it, so that it can be called by hand.

    Args:
        name: of the check, as in `names()`; assignments call it like the function they ask for.
        function: the function under test.
        seed: integer >= 0 that all random input is drawn from.
        draws: how many random problems for each statement.

    Returns:
        bool: whether everything holds; the words are printed.

    Raises:
        ValueError: unknown name (the message lists what there is), seed or draws out of range.
        TypeError: `function` cannot be called.

    Chapter: the assignments of parts I to VI.

    Example:
        >>> import softcut_lib as sc
        >>> def cut_energy(labels, scores, weights):
        ...     return sc.cut_energy(labels, scores, weights)
        >>> check("cut_energy", cut_energy)
        cut_energy: everything holds (3 statements, 2 random problems each)
        True
    """
    about = _found(name)
    if not callable(function):
        raise TypeError(
            f"function must be a function, got {type(function).__name__}; pass it by its name, "
            f"check({name!r}, {name}), without calling it"
        )
    for option, value, least in (("seed", seed, 0), ("draws", draws, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{option} must be an integer of at least {least}, got {value!r}")
    lines, failed, said = [], 0, set()
    for statement, adapt in about.statements:
        watched = Watched(function)
        reason = _tried(statement, adapt(watched), seed, draws)
        if reason is not None and watched.hint not in reason:
            reason += watched.hint
        failed += reason is not None
        lines.append(_line(statement, "As above." if reason in said else reason))
        said |= {reason} - {None}
    count = f"{len(lines)} statement{'s' if len(lines) > 1 else ''}"
    if failed:
        print(f"{name}: {failed} of {count} failed\n" + "\n".join(lines))
    else:
        print(f"{name}: everything holds ({count}, {draws} random problems each)")
    return not failed


def names():
    """{name of a check: how its function is called}, in the order of the assignments.

    Returns:
        dict of str to str.

    Example:
        >>> names()["brute_force"]
        'brute_force(scores (1, 1, h, w), weights) -> labels bool (1, 1, h, w)'
    """
    from softcut_lib.coursework.catalogue import CHECKS

    return {name: f"{name}{about.call}" for name, about in CHECKS.items()}


def hidden_seed(name):
    """The seed of a hidden test, from the name of its check and a key that is kept elsewhere.

        seed = first 60 bits of HMAC-SHA256(key, name)

    The key is the text in the environment variable SOFTCUT_COURSEWORK_KEY, or the content of the
    file that SOFTCUT_COURSEWORK_KEY_FILE names; white space around it does not count.

    Args:
        name: of the check.

    Returns:
        int >= 0, the same for the same key and name.

    Raises:
        ValueError: unknown name; no key, or an empty one. A hidden test without its key must stop,
            not fall back on a seed that everyone can read.

    Chapter: the instructor's guide.
    """
    _found(name)
    if os.environ.get(KEY_FILE) and not os.environ.get(KEY):
        path = Path(os.environ[KEY_FILE])
        if not path.is_file():
            raise ValueError(f"{KEY_FILE} must name a file that holds the key, got {path}")
        key = path.read_text("utf-8").strip()
    else:
        key = os.environ.get(KEY, "").strip()
    if not key:
        raise ValueError(
            f"hidden tests need a key and found none; set {KEY} to a text of your own, or "
            f"{KEY_FILE} to a file that holds it, before you start the grading"
        )
    return int.from_bytes(hmac.digest(key.encode(), name.encode(), hashlib.sha256)[:8]) >> 4


def _found(name):
    from softcut_lib.coursework.catalogue import CHECKS

    if name not in CHECKS:
        listed = "\n".join(f"  {call}" for call in names().values())
        raise ValueError(f"name must be that of a check, got {name!r}; there are\n{listed}")
    return CHECKS[name]


def _tried(statement, function, seed, draws):
    """None, or why the statement does not hold."""
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator} if "generator" in signature(statement).parameters else {}
    for draw in range(draws if options else 1):
        where = f"On random problem {draw + 1} (seed {seed}): " if options else ""
        try:
            statement(function, **options)
        except AssertionError as error:
            return where + str(error)
        except Exception as error:
            return where + _stumble(error)
    return None


def _stumble(error):
    """What to say of an error that is none of a statement's own."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = (Path(__file__).parents[1], Path(torch.__file__).parents[1])  # the library, packages
    own = [f for f in frames if not any(p in Path(f.filename).parents for p in foreign)]
    text = f"{type(error).__name__}: {error}. "
    if own:
        return text + f"It was raised in line {own[-1].lineno} of `{own[-1].name}`."
    return text + (
        "It was raised when the answer was looked at: does the function return what its first line "
        "promises, in that order and with that shape?"
    )


def _line(statement, reason):
    plain = statement.func if isinstance(statement, partial) else statement
    title = getdoc(plain).splitlines()[0]
    mark = "holds " if reason is None else "FAILED"
    lines = [f"  {mark} {title}"]
    if reason is not None:
        room = plain.__module__.removeprefix("softcut_lib.")
        body = f"{reason} [{room}.{plain.__name__}]"
        lines.append(textwrap.fill(body, 96, initial_indent=" " * 9, subsequent_indent=" " * 9))
    return "\n".join(lines)
