"""Download and verification of the Weizmann horses, file by file.

A file is accepted when its SHA-256 equals the one in ``weizmann_sha256.json`` beside this module,
the sums of the 656 files that the recorded runs of chapter 10 used. Everything is written under a
temporary name and then renamed, so an interrupted call leaves no half file and the next one goes on
where it stopped.
"""

import hashlib
import json
import os
import tarfile
import tempfile
import zipfile
import zlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from .horses import FOLDER, PHOTOGRAPHS, find_database, first_few

URL = "https://www.msri.org/people/members/eranb/weizmann_horse_db.tar.gz"
_UNTRIED = "The address was not tried by the authors' build, which has no internet."


@lru_cache(maxsize=1)
def checksums():
    """SHA-256 of every file, ``{"rgb/horse001.jpg": "be10...", ...}``, 656 entries."""
    return json.loads((files("softcut_lib.data") / "weizmann_sha256.json").read_text())


def fetch_weizmann(folder, *, url=URL, archive=None, progress=False):
    """Download the Weizmann horses into ``folder/weizmann_horse_db``, checking every file.

    accepted(file) = [SHA-256(file) = table(file)].

    Files that are there and right are kept; when all are, nothing is downloaded. The address is the
    one commonly cited for the database; it was not tried by the authors' build, which has no
    internet. Needs pooch (``pip install "softcut-lib[train]"``) unless ``archive`` is given.

    Parameters
    ----------
    folder : path
        Where ``weizmann_horse_db/`` goes, the folder to name in ``SOFTCUT_DATA``; the database
        itself is recognized too. Made when missing.
    url : str
        Address of the archive (tar or zip) when the default one has moved.
    archive : path or None
        An archive that is already here; nothing is downloaded then.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    Path
        The verified database.

    Raises
    ------
    ValueError
        Files already there differ from the table (they are never overwritten), or the archive
        lacks files or holds other ones; the message names them.
    ConnectionError
        The download failed.
    ImportError
        pooch is missing.

    Source: Borenstein and Ullman, the Weizmann horse database; see its page for terms of use.

    >>> from softcut_lib import fetch_weizmann
    >>> fetch_weizmann("data", archive="nowhere.tar.gz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: archive 'nowhere.tar.gz' does not exist; pass the path of the downloaded file
    """
    if archive is not None and not Path(archive).expanduser().is_file():
        raise FileNotFoundError(
            f"archive {str(archive)!r} does not exist; pass the path of the downloaded file"
        )
    target = _target(folder)
    missing, wrong = _compare(target)
    if wrong:
        raise ValueError(
            f"{len(wrong)} files in {str(target)!r} differ from the published ones: "
            f"{first_few(wrong)}. They are not overwritten; delete them and call this again"
        )
    if missing and archive is not None:
        _unpack(Path(archive).expanduser(), target, set(missing), str(archive))
    elif missing:
        target.mkdir(parents=True, exist_ok=True)
        download = _download(url, target, progress)
        try:
            _unpack(download, target, set(missing), url)
        finally:
            download.unlink(missing_ok=True)
    return target


def verify_weizmann(folder=None):
    """Compare an existing database with the table of SHA-256 sums.

    ``folder`` is the database or the folder that holds it; ``None`` reads ``SOFTCUT_DATA``. Returns
    the path of the database when all 656 files agree.

    Raises ``FileNotFoundError`` when there is no database, ``ValueError`` naming missing or
    different files; other files are ignored.

    >>> from softcut_lib import verify_weizmann
    >>> verify_weizmann("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: no Weizmann horses below 'nowhere' (root): expected the folders ...
    """
    target = find_database(folder)
    missing, wrong = _compare(target)
    if missing or wrong:
        what = [f"{len(missing)} missing ({first_few(missing)})"] * bool(missing)
        what += [f"{len(wrong)} different ({first_few(wrong)})"] * bool(wrong)
        raise ValueError(
            f"{str(target)!r} is not the published database: {'; '.join(what)}. Delete the "
            "different files and call softcut_lib.fetch_weizmann on the folder to complete it"
        )
    return target


def _target(folder):
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a path, got {type(folder).__name__}")
    folder = Path(folder).expanduser()
    itself = folder.name == FOLDER or (folder / PHOTOGRAPHS).is_dir()
    return folder if itself else folder / FOLDER


def _compare(target):
    """Names of the table's files that are missing, and of those that differ."""
    missing, wrong = [], []
    for name, expected in checksums().items():
        if not (target / name).is_file():
            missing.append(name)
        elif hashlib.sha256((target / name).read_bytes()).hexdigest() != expected:
            wrong.append(name)
    return missing, wrong


def _download(url, target, progress):
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            'fetch_weizmann downloads with pooch: pip install "softcut-lib[train]", or download '
            f"{url} by hand and pass it as archive="
        ) from error
    try:
        path = pooch.retrieve(
            url, known_hash=None, fname="archive.part", path=target, progressbar=progress
        )
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"could not download {url} ({error}). {_UNTRIED} If it has moved, pass the new one as "
            "url=, or download the archive by hand and pass it as archive="
        ) from error
    return Path(path)


def _unpack(archive, target, wanted, origin):
    """Write the wanted files whose sums are right; refuse the archive when some are not."""
    wrong = []
    for path, content in _members(archive, origin):
        name = "/".join(Path(path).parts[-2:])
        if name not in wanted:
            continue
        if hashlib.sha256(content).hexdigest() == checksums()[name]:
            _write(target / name, content)
            wanted.discard(name)
        else:
            wrong.append(name)
    absent = wanted - set(wrong)
    if wanted:
        what = [f"{len(wrong)} files differ from the table ({first_few(wrong)})"] * bool(wrong)
        what += [f"{len(absent)} files are not in it ({first_few(absent)})"] * bool(absent)
        raise ValueError(
            f"{origin} is not the published archive: {'; '.join(what)}. {_UNTRIED} The right files "
            "were kept, the others were not written; pass another address as url="
        )


def _members(archive, origin):
    """Path and content of each picture in a tar or zip file."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bundle:
                for path in bundle.namelist():
                    if path.endswith(".jpg"):
                        yield path, bundle.read(path)
        else:
            with tarfile.open(archive) as bundle:
                for member in bundle:
                    if member.isfile() and member.name.endswith(".jpg"):
                        yield member.name, bundle.extractfile(member).read()
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(
            f"{origin} is no complete tar or zip archive ({error}). {_UNTRIED} Files that were "
            "read and right are kept. Call this again to go on, or pass another address as url="
        ) from error


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
