"""The chapters' Markdown without the book's own marks, for viewers that do not know them.

Colab and JupyterLab show a theorem box as a block of code, its formulas unset. `plainly` gives the
same text in Markdown alone: theorems and exercises become paragraphs under their number, solutions
fold, labelled equations carry their number, references and citations are written out. Numbers
are those of the built book: a counter for each kind, after the chapter's own number.
"""

import re
from collections import Counter

from pybtex.database import parse_file

from book.ext.softcut_book import chapter_number

BLOCK = re.compile(
    r"^(`{3,4})\{([\w:-]+)\}[ ]*([^\n]*)\n((?::\w+:[^\n]*\n)*)(.*?)^\1[ ]*$",
    re.MULTILINE | re.DOTALL,
)
EQUATION = re.compile(r"\$\$((?:(?!\$\$).)*)\$\$ ?\(([\w-]+)\)", re.DOTALL)
ROLE = re.compile(r"\{(eq|numref|prf:ref|ref|cite:p|cite:t)\}`([^`]+)`")
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)\s]+\.(?:ipynb|md)(?:#[^)]*)?\)")
TARGET = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)


def kind_of(directive):
    """'prf:theorem' -> 'Theorem', 'exercise-start' -> 'Exercise'; None for what has no number."""
    name = directive.removeprefix("prf:").removesuffix("-start")
    numbered = name == "exercise" or (directive.startswith("prf:") and name != "proof")
    return name.capitalize() if numbered else None


def label_in(options):
    found = re.search(r":label: *(\S+)", options)
    return found and found[1]


def numbers(stem, notebook):
    """{label: text of a reference} of one notebook, such as 'Theorem 2.1', '(2.3)', 'Fig. 2.1'."""
    chapter, counts, found = chapter_number(f"notebooks/{stem}"), Counter(), {}

    def count(kind, label, form="{kind} {number}"):
        counts[kind] += 1
        found[label] = form.format(kind=kind, number=f"{chapter}.{counts[kind]}")

    for cell in notebook.cells:
        if cell.cell_type == "code":
            figure = cell.metadata.get("mystnb", {}).get("figure")
            if figure:
                count("Fig.", figure.get("name"))
            continue
        for _, directive, _, options, _ in BLOCK.findall(cell.source):
            if kind_of(directive):
                count(kind_of(directive), label_in(options))
        for _, label in EQUATION.findall(cell.source):
            count("", label, "({number})")
    return found


class Citations:
    """Author and year of the book's references."""

    def __init__(self, path):
        self.entries = parse_file(str(path)).entries

    def parts(self, key):
        entry = self.entries[key.strip()]
        names = [" ".join(p.last_names) for p in entry.persons.get("author", [])]
        names = [name.strip("{}") for name in names]
        several = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        return several, entry.fields.get("year", "no year")

    def role(self, form, keys):
        parts = [self.parts(key) for key in keys.split(",")]
        if form == "cite:t":
            return ", ".join(f"{who} ({year})" for who, year in parts)
        return "(" + "; ".join(f"{who}, {year}" for who, year in parts) + ")"

    def listed(self, keys):
        """A paragraph for each: authors, title, year."""
        lines = ["**Cited here**", ""]
        for key in keys:
            who, year = self.parts(key)
            title = self.entries[key].fields["title"].replace("{", "").replace("}", "")
            lines.append(f"- {who}: {title}, {year}.")
        return "\n".join(lines)


def plainly(text, labels, citations):
    """One Markdown cell in plain Markdown; KeyError for an unknown label."""

    def block(match):
        _, directive, title, options, body = match.groups()
        body, kind = body.strip("\n"), kind_of(directive)
        if directive.endswith("-end"):
            return ""
        if directive.startswith("solution"):
            name = f"Solution to {labels[title]}"
            if directive == "solution-start":
                return f"**{name}**"
            return f"<details><summary>{name}</summary>\n\n{body}\n\n</details>"
        if kind:
            named = labels[label_in(options)] + (f" ({title})" if title else "")
            return f"**{named}.** {body}" if body else f"**{named}.**"
        if directive == "prf:proof":
            return f"*Proof.* {body} $\\square$"
        return f"**{title}**\n\n{body}" if title else body

    def role(match):
        form, content = match.groups()
        if form.startswith("cite"):
            return citations.role(form, content)
        told, target = re.fullmatch(r"(?:(.*?) *<)?([^<>]+)>?", content).groups()
        return told or labels[target]

    before = None
    while before != text:  # a block may stand in another one
        before, text = text, BLOCK.sub(block, text)
    text = EQUATION.sub(lambda m: f"$${m[1].rstrip()} \\tag{{{labels[m[2]].strip('()')}}} $$", text)
    return TARGET.sub("", LINK.sub(r"\1", ROLE.sub(role, text)))
