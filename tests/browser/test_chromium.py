"""The tests' own browser: it runs, it is watched, and a missing one is an error in CI."""

import pytest

from tests.browser import chromium


def test_a_page_is_watched(browser):
    html = "<h1>here</h1><script>console.error('ours'); fetch('http://nowhere.invalid/x')</script>"
    with chromium.opened(browser, html=html, scheme="dark", size=chromium.PHONE) as page:
        page.wait_for_function("true")
        page.wait_for_timeout(100)
        assert page.inner_text("h1") == "here"
        assert "ours" in page.errors
        assert any("nowhere.invalid" in address for address in page.asked)
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert page.evaluate("innerWidth") == chromium.PHONE[0]


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail), ("", pytest.skip)])
def test_without_a_browser_ci_fails_and_others_are_told(monkeypatch, ci, outcome):
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match="apt-get install -y chromium"):
        chromium.needed()


def test_without_playwright_the_package_is_named(monkeypatch):
    monkeypatch.setattr(chromium, "find_spec", lambda name: None)
    assert "pip install -c constraints.txt playwright" in chromium.missing()
