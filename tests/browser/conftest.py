"""One browser for all browser tests."""

import pytest

from tests.browser.chromium import launched, needed


@pytest.fixture(scope="session")
def browser():
    needed()
    with launched() as started:
        yield started
