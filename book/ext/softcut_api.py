"""Sphinx extension of the book: the API page, written from the library's docstrings.

`.. room:: grid` lists every public name of a room, file by file, in the order of the library's own
table of names; a room without public names of its own (theorems, show) is listed module by module.
Docstrings are plain text: what looks like markup is escaped, indented equations stay as typed.
"""

import inspect
import pkgutil
import re
from importlib import import_module

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

import softcut_lib

SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes|Example|Examples):$")
FIELD = re.compile(r"( *[\w*, .]+(?: \([^)]*\))?:)(.*)$", re.DOTALL)
UNDERLINED = {"Parameters": "Args", "Returns": "Returns", "Raises": "Raises", "Yields": "Yields"}
UNDERLINED |= {"Attributes": "Attributes", "Items": "Items"}


def escape(text):
    """Plain text with `code` as reStructuredText."""
    parts = re.split(r"`+([^`]+)`+", text)
    for k, part in enumerate(parts):
        parts[k] = f"``{part}``" if k % 2 else re.sub(r"([\\*|_])", r"\\\1", part)
    return "".join(parts)


def one_form(lines):
    """Sections with underlined names (as in NumPy) in the form of the others (as in Google).

    A section ends where a line that is not indented is no `name : kind` and has no indented line
    below it. What an item of a data set is, a section of its own there, becomes a paragraph.
    """
    result, section = [], None
    for line, below in zip(lines, [*lines[1:], ""]):
        if line in UNDERLINED and set(below) == {"-"}:
            section = line
            result.append(f"{UNDERLINED[line]}:")
        elif section and line and set(line) == {"-"}:
            continue
        elif section and line and not line.startswith(" "):
            name, typed, kind = line.partition(" : ")
            section = section if typed or below.startswith(" ") else None
            if section is None:
                result.append(line)
            elif section != "Items":
                result.append(f"    {name} ({kind}):" if typed else f"    {name}:")
        else:
            indent = {None: "", "Items": ""}.get(section, "    ")
            result.append(indent + (line.strip() if section == "Items" else line) if line else "")
    return result


def to_rst(lines):
    """Escape a docstring; equations set off by indentation become literal blocks."""
    result, section, literal, doctest = [], None, False, False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        text = line.strip()
        if not text:
            doctest = False
            result.append("")
        elif text.startswith(">>>") or doctest:
            doctest = True
            result.append(line)
        elif indent == 0 and SECTION.match(text):
            section, literal = text, False
            result.append(text)
        elif indent == 0:
            section, literal = None, False
            label, found, rest = text.partition(":")
            bold = found and label in {"Source", "Sources", "Chapter", "Note", "Items"}
            result.append(f"**{label}:** {escape(rest.strip())}" if bold else escape(line))
        elif section is None:
            if not literal:
                result += ["", "::", ""]
            literal = True
            result.append(line)
        elif section in {"Args:", "Attributes:", "Raises:"} and (field := FIELD.match(line)):
            result.append(field[1] + escape(field[2]))
        else:
            result.append(escape(line))
    return result


def process_docstring(app, what, name, thing, options, lines):
    if not name.startswith("softcut_lib"):
        return
    of_type = (inspect.getdoc(type(thing)) or "").splitlines()
    if what == "data" and lines[:1] == of_type[:1]:  # a dict's own help says nothing of this one
        lines[:] = ["A dictionary with the keys " + ", ".join(f"``{key}``" for key in thing) + "."]
    else:
        lines[:] = to_rst(one_form(lines))


def public_names(room):
    """{module: [names]} of a room, in the order of the library's table."""
    table = {}
    for name, module in softcut_lib._HOME.items():
        if module.split(".")[0] == room:
            table.setdefault(f"softcut_lib.{module}", []).append(name)
    return table


def entry(name, module):
    thing = getattr(softcut_lib, name)
    if inspect.isclass(thing):
        return [f".. autoclass:: softcut_lib.{name}", "   :members:", ""]
    if inspect.isroutine(thing):
        return [f".. autofunction:: softcut_lib.{name}", ""]
    # the comment on a constant is read where the constant is defined
    return [f".. autodata:: {module}.{name}", "   :no-value:", ""]


def file_name(module):
    return [f".. rubric:: {module.replace('.', '/')}.py", ""]


def listing(room):
    """The reStructuredText of a room."""
    lines = []
    table = public_names(room)
    for module, names in table.items():
        lines += [*file_name(module), f".. automodule:: {module}", ""]
        for name in names:
            lines += entry(name, module)
    if not table:
        package = import_module(f"softcut_lib.{room}")
        for info in pkgutil.iter_modules(package.__path__):
            module = f"softcut_lib.{room}.{info.name}"
            lines += [*file_name(module), f".. automodule:: {module}", "   :members:", ""]
    return lines


class Room(Directive):
    required_arguments = 1

    def run(self):
        content = StringList(listing(self.arguments[0]), source=f"softcut_lib.{self.arguments[0]}")
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(content, self.content_offset, node)
        return node.children


def setup(app):
    app.add_directive("room", Room)
    # before napoleon, which reads the sections of what this leaves
    app.connect("autodoc-process-docstring", process_docstring, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
