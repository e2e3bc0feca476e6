"""Sphinx extension of the book: named definitions, theorems and algorithms stand in the index.

The index then leads to the chapters as well as to the glossary and to the names of the library.
"""

import re

from sphinx import addnodes
from sphinx.transforms import SphinxTransform


def entry(title, kind):
    """'The two limits', 'theorem' -> 'Two limits (theorem)'; '' where there is no title."""
    title = re.sub(r"^\((.*)\)$", r"\1", " ".join(title.split()))
    title = re.sub(r"^(?:The|A|An) (?=\S)", "", title).replace(";", ",")
    return f"{title[0].upper()}{title[1:]} ({kind})" if title else ""


class IndexProofs(SphinxTransform):
    default_priority = 400  # before 850, where the index is collected

    def apply(self, **_):
        for node in list(self.document.findall()):
            kind = node.attributes.get("realtype") if hasattr(node, "attributes") else None
            if not kind or not node["ids"] or not len(node):
                continue
            text = entry(node[0].astext(), kind)
            if text:
                index = addnodes.index(entries=[("single", text, node["ids"][0], "", None)])
                node.parent.insert(node.parent.index(node), index)


def setup(app):
    app.add_transform(IndexProofs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
