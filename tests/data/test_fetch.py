"""Downloads are checked file by file, go on where they stopped, and refuse what is not right."""

import builtins
import functools
import hashlib
import http.server
import os
import tarfile
import threading
import zipfile

import pytest

from softcut_lib.data import fetch
from softcut_lib.data.fetch import fetch_weizmann, verify_weizmann

TABLE = {
    f"{part}/horse{k:03d}.jpg": f"{part} {k}".encode() * 50
    for part in ("rgb", "figure_ground")
    for k in (1, 2, 3)
}


@pytest.fixture(autouse=True)
def small_table(monkeypatch):
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in TABLE.items()}
    monkeypatch.setattr(fetch, "checksums", lambda: sums)


def write_archive(path, contents):
    source = path.parent / "source"
    for name, content in contents.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as bundle:
            for name in contents:
                bundle.write(source / name, f"weizmann_horse_db/{name}")
    else:
        with tarfile.open(path, "w:gz") as bundle:
            for name in contents:
                bundle.add(source / name, f"weizmann_horse_db/{name}")
    return path


@pytest.fixture
def serve(tmp_path):
    """Serve the folder ``served`` on the loopback; yields its address and the requests made."""
    folder, requests = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


def contents(folder):
    return {
        str(path.relative_to(folder).as_posix()): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_a_download_is_complete_and_leaves_nothing_else(tmp_path, serve, name):
    served, address, _ = serve
    write_archive(served / name, {**TABLE, "gray/horse001.jpg": b"not wanted"})
    database = fetch_weizmann(tmp_path / "data", url=f"{address}/{name}")
    assert database == tmp_path / "data" / "weizmann_horse_db"
    assert contents(database) == TABLE
    assert verify_weizmann(tmp_path / "data") == verify_weizmann(database) == database


def test_a_complete_database_is_not_downloaded_again(tmp_path, serve):
    served, address, requests = serve
    archive = write_archive(served / "a.zip", TABLE)
    database = fetch_weizmann(tmp_path / "data", archive=archive)
    for folder in (tmp_path / "data", database):
        assert fetch_weizmann(folder, url=f"{address}/a.zip") == database
    assert not requests


def test_only_missing_files_are_written(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", TABLE)
    database = fetch_weizmann(tmp_path / "data", archive=archive)
    (database / "rgb/horse002.jpg").unlink()
    kept = database / "rgb/horse001.jpg"
    os.utime(kept, ns=(1, 1))
    fetch_weizmann(tmp_path / "data", archive=archive)
    assert contents(database) == TABLE and kept.stat().st_mtime_ns == 1


def test_existing_different_files_are_named_and_not_overwritten(tmp_path):
    archive = write_archive(tmp_path / "a.zip", TABLE)
    database = fetch_weizmann(tmp_path / "data", archive=archive)
    (database / "rgb/horse002.jpg").write_bytes(b"mine")
    with pytest.raises(ValueError, match="1 files .* differ .*rgb/horse002.jpg.*delete them"):
        fetch_weizmann(tmp_path / "data", archive=archive)
    with pytest.raises(ValueError, match="1 different .rgb/horse002.jpg"):
        verify_weizmann(database)
    assert (database / "rgb/horse002.jpg").read_bytes() == b"mine"


def test_a_corrupt_and_an_absent_member_are_named_and_the_rest_is_kept(tmp_path):
    changed = {**TABLE, "rgb/horse003.jpg": b"changed"}
    del changed["figure_ground/horse001.jpg"]
    archive = write_archive(tmp_path / "a.tar.gz", changed)
    message = "1 files differ .*rgb/horse003.jpg.*1 files are not in it .*figure_ground/horse001"
    with pytest.raises(ValueError, match=message):
        fetch_weizmann(tmp_path / "data", archive=archive)
    database = tmp_path / "data" / "weizmann_horse_db"
    good = {name: TABLE[name] for name in TABLE if changed.get(name) == TABLE[name]}
    assert contents(database) == good
    with pytest.raises(ValueError, match="2 missing"):
        verify_weizmann(database)
    fetch_weizmann(tmp_path / "data", archive=write_archive(tmp_path / "b.zip", TABLE))
    assert contents(database) == TABLE


def test_a_truncated_archive_keeps_what_was_read_and_the_next_call_goes_on(tmp_path, serve):
    served, address, requests = serve
    archive = write_archive(served / "a.tar.gz", {n: os.urandom(0) + c for n, c in TABLE.items()})
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    url = f"{address}/a.tar.gz"
    with pytest.raises(ValueError, match="no complete tar or zip archive.*not tried.*url="):
        fetch_weizmann(tmp_path / "data", url=url)
    archive.write_bytes(whole)
    assert contents(fetch_weizmann(tmp_path / "data", url=url)) == TABLE
    assert len(requests) == 2


def test_a_page_instead_of_an_archive_is_refused(tmp_path, serve):
    served, address, _ = serve
    (served / "a.zip").write_text("<html>moved</html>")
    with pytest.raises(ValueError, match="a.zip is no complete tar or zip"):
        fetch_weizmann(tmp_path / "data", url=f"{address}/a.zip")
    assert not contents(tmp_path / "data")


def test_a_dead_address_is_explained(tmp_path, serve):
    _, address, _ = serve
    message = "could not download .*nothing.zip.*not tried by the authors' build.*archive="
    with pytest.raises(ConnectionError, match=message):
        fetch_weizmann(tmp_path, url=f"{address}/nothing.zip")


def test_without_pooch_the_message_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **options):
        if name == "pooch":
            raise ImportError("no pooch")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"softcut-lib\[train\].*archive="):
        fetch_weizmann(tmp_path)


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="archive .*none.zip' does not exist"):
        fetch_weizmann(tmp_path, archive=tmp_path / "none.zip")
    with pytest.raises(TypeError, match="folder must be a path, got NoneType"):
        fetch_weizmann(None)
    with pytest.raises(FileNotFoundError, match="no Weizmann horses"):
        verify_weizmann(tmp_path)
