"""Sphinx extension of the book: chapter numbers from file names, and alt text from the cells.

`notebooks/09_losses` is chapter 9 and `notebooks/A1_...` is appendix A1, whatever chapters exist
yet, so theorem, figure, equation and exercise numbers never move when a chapter is added.
An image keeps the alt text that a plotting function stored in its output's metadata.
"""

import re

from docutils import nodes
from myst_nb.core.render import NbElementRenderer
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as SectionNumbers


def chapter_number(docname):
    """'notebooks/09_losses' -> '9', 'notebooks/A1_receptive_field' -> 'A1', else None."""
    match = re.match(r"notebooks/(?:0*(\d+)|([A-Z]\d+))_", docname)
    return match and (match[1] or match[2])


def renumber(env):
    """Put the chapter's own number in front of every section number of its page."""
    for docname, sections in env.toc_secnumbers.items():
        chapter = chapter_number(docname)
        if chapter is None:
            continue
        for anchor, number in sections.items():
            if number:
                sections[anchor] = (chapter, *number[1:])
        for reference in env.tocs[docname].findall(nodes.reference):
            if reference.get("secnumber"):
                reference["secnumber"] = [chapter, *reference["secnumber"][1:]]
        if env.titles[docname].get("secnumber"):
            env.titles[docname]["secnumber"] = [chapter]


def number_by_file_name(app):
    """Wrap the section numbering, before figures take their numbers from it."""
    original = SectionNumbers.assign_section_numbers

    def assign_section_numbers(self, env):
        changed = original(self, env)
        renumber(env)
        return changed

    SectionNumbers.assign_section_numbers = assign_section_numbers


def keep_alt_text(app):
    original = NbElementRenderer.render_image

    def render_image(self, data):
        rendered = original(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt")
        for node in rendered:
            for image in node.findall(nodes.image):
                if alt:
                    image.setdefault("alt", alt)
        return rendered

    NbElementRenderer.render_image = render_image


def setup(app):
    app.connect("builder-inited", number_by_file_name, priority=900)
    app.connect("builder-inited", keep_alt_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
