"""Chromium for the browser tests: where it is missing they say what to install, in CI they fail.

A page is watched from its first moment: `opened` gives it with the requests that it made and the
errors that its console showed.
"""

import os
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 900), (390, 844)  # CSS pixels


def missing():
    """What has to be installed before a browser test can run; None where all is there."""
    if find_spec("playwright") is None:
        return "playwright is missing: pip install -c constraints.txt playwright"
    if not any(map(shutil.which, NAMES)):
        return "chromium is missing: apt-get update && apt-get install -y chromium"
    return None


def needed():
    """Skip the test without a browser, saying what to install; fail where CI is true."""
    reason = missing()
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@contextmanager
def launched():
    """A headless Chromium of playwright's synchronous interface."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """The address of a file server on this machine for a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@contextmanager
def opened(browser, url=None, *, html=None, size=DESKTOP, scheme="light", touch=False):
    """A page, with `page.asked` (addresses requested) and `page.errors` (console and uncaught).

    Args:
        browser: from `launched`.
        url: the address to open; or
        html: the text of a page to show instead.
        size: (width, height) in CSS pixels, such as `DESKTOP` and `PHONE`.
        scheme: "light" or "dark", the reader's preference.
        touch: a screen for fingers.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=touch
    )
    context.set_default_timeout(180_000)  # a busy machine is no failure
    page = context.new_page()
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
    if url is not None:
        page.goto(url)
    if html is not None:
        page.set_content(html)
    yield page
    context.close()
