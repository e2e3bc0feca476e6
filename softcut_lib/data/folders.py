"""Where a data set lies: the folder given, one below it, or below ``SOFTCUT_DATA``."""

import os
from pathlib import Path


def find_folder(root, what, holds, below, how):
    """The first of ``root`` and its folders ``below`` that has the folders ``holds``.

    Args:
        root: path, or None for the environment variable ``SOFTCUT_DATA``.
        what: name of the data set, for messages.
        holds: names of the folders that must be there.
        below: folders below ``root`` to look in.
        how: where to get the data set.

    Returns:
        Path.

    Raises:
        TypeError: root is no path.
        FileNotFoundError: nothing given, or nothing there.

    Example:
        >>> from softcut_lib.data.folders import find_folder
        >>> find_folder("nowhere", "cats", ["a"], ["cats"], "Ask a cat.")
        Traceback (most recent call last):
            ...
        FileNotFoundError: no cats below 'nowhere' (root): expected the folders a/ there or in ...
    """
    origin = "root"
    if root is None:
        root, origin = os.environ.get("SOFTCUT_DATA"), "the environment variable SOFTCUT_DATA"
        if not root:
            raise FileNotFoundError(
                f"no folder given for {what}: pass root=, or set the environment variable "
                f"SOFTCUT_DATA to the folder that holds {below[0]}/. {how}"
            )
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path or None, got {type(root).__name__}")
    root = Path(root).expanduser()
    for folder in (root, *(root / name for name in below)):
        if all((folder / name).is_dir() for name in holds):
            return folder
    raise FileNotFoundError(
        f"no {what} below {str(root)!r} ({origin}): expected the folders "
        f"{', '.join(f'{name}/' for name in holds)} there or in its subfolder "
        f"{' or '.join(f'{name}/' for name in below)}. {how}"
    )
