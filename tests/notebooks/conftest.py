"""An environment such as Colab's: everything is installed but the library."""

import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The Python of an environment that sees all installed packages but not the library."""
    home = tmp_path_factory.mktemp("bare")
    seen = home / "seen"
    seen.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "softcut" not in entry.name and entry.suffix not in (".pth", ".egg-link"):
            (seen / entry.name).symlink_to(entry)
    venv.create(home / "env", with_pip=False)
    python = home / "env" / "bin" / "python"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    site = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    (Path(site) / "seen.pth").write_text(f"{seen}\n")
    return python
