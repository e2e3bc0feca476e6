"""The chapters in plain Markdown."""

import nbformat
import pytest

from book.build import ROOT
from book.plain import Citations, numbers, plainly

TEXT = """(here)=
```{prf:theorem} Limits
:label: thm-02-limits
It tends to {eq}`eq-02-a`, see [chapter 3](03_system.ipynb).

$$ x = 1 $$ (eq-02-a)
```

```{prf:proof}
By {prf:ref}`thm-02-limits` and $$ y $$ alone.
```

````{exercise}
:label: ex-02-one
Do it.
````

```{solution} ex-02-one
:class: dropdown
Done, as {ref}`in the errata <err-1>`.
```

```{solution-start} ex-02-one
```
So.
```{solution-end}
```"""
PLAIN = """**Theorem 2.1 (Limits).** It tends to (2.1), see chapter 3.

$$ x = 1 \\tag{2.1} $$

*Proof.* By Theorem 2.1 and $$ y $$ alone. $\\square$

**Exercise 2.1.** Do it.

<details><summary>Solution to Exercise 2.1</summary>

Done, as in the errata.

</details>

**Solution to Exercise 2.1**
So.
"""


@pytest.fixture(scope="module")
def citations():
    return Citations(ROOT / "book" / "references.bib")


def test_marks_become_markdown(citations):
    figure = {"mystnb": {"figure": {"name": "fig-02-a", "caption": "A."}}}
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("x", metadata=figure),
            nbformat.v4.new_markdown_cell(TEXT),
        ]
    )
    labels = numbers("02_circuit", notebook)
    assert labels == {
        "fig-02-a": "Fig. 2.1", "thm-02-limits": "Theorem 2.1", "ex-02-one": "Exercise 2.1",
        "eq-02-a": "(2.1)",
    }  # fmt: skip
    assert plainly(TEXT, labels, citations) == PLAIN


def test_an_unknown_label_is_an_error(citations):
    with pytest.raises(KeyError, match="thm-09-none"):
        plainly("{prf:ref}`thm-09-none`", {}, citations)


def test_citations_are_written_out(citations):
    one = plainly("{cite:t}`bonfiglio2022softcut`", {}, citations)
    assert one == "Bonfiglio (2022)"
    two = plainly("{cite:p}`bonfiglio2022softcut,tang2018normalized`", {}, citations)
    assert two == "(Bonfiglio, 2022; Tang et al., 2018)"
    assert "Bonfiglio: " in citations.listed(["bonfiglio2022softcut"])
