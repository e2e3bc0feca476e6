"""The shipped table of sums covers the database and agrees with the real files where they are."""

import os

import pytest

from softcut_lib.data.fetch import checksums, verify_weizmann
from softcut_lib.data.horses import NAMES


def test_the_table_covers_the_656_files():
    table = checksums()
    assert set(table) == {f"{part}/{n}.jpg" for part in ("rgb", "figure_ground") for n in NAMES}
    assert all(len(value) == 64 and int(value, 16) for value in table.values())


@pytest.mark.skipif(not os.environ.get("SOFTCUT_DATA"), reason="SOFTCUT_DATA is not set")
def test_the_real_database_agrees_with_the_table():
    assert verify_weizmann().name == "weizmann_horse_db"
