"""Sphinx extension of the book: `{playground}` puts the playground into a page.

The script and its pictures stand in the page itself, so that it works from a file, too.
"""

from docutils import nodes
from docutils.parsers.rst import Directive

from softcut_lib.show.playground_page import playground_html


class Playground(Directive):
    def run(self):
        return [nodes.raw("", playground_html(), format="html")]


def setup(app):
    app.add_directive("playground", Playground)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
