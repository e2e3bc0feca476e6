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
        FileNotFoundError: nothing given, nothing there, or a part only.

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
    places = (root, *(root / name for name in below))
    found = [[name for name in holds if (folder / name).is_dir()] for folder in places]
    for folder, there in zip(places, found, strict=True):
        if len(there) == len(holds):
            return folder
    words = lambda names: " and ".join(f"{name}/" for name in names)  # noqa: E731
    for folder, there in zip(places, found, strict=True):
        if there:
            lacking = [name for name in holds if name not in there]
            raise FileNotFoundError(
                f"{str(folder)!r} ({origin}) holds {words(there)} but not {words(lacking)}: {what} "
                f"must be whole. {how}"
            )
    raise FileNotFoundError(
        f"no {what} below {str(root)!r} ({origin}): expected the folders {words(holds)} there or "
        f"in its subfolder {' or '.join(f'{name}/' for name in below)}. Correct the path, or set "
        f"SOFTCUT_DATA to the folder that holds {below[0]}/. {how}"
    )
