"""Tables whose numbers come from code: text in a terminal, HTML on a page (chapters 10, A2).

`results_table` puts the runs of a results file beside the numbers that a paper prints,
`provenance_table` says how each run was made, and `comparison_table` shows cuts side by side.
"""

from html import escape
from statistics import fmean

__all__ = ["Table", "comparison_table", "provenance_table", "results_table", "table"]

METRICS = {"iou": "miou", "loss": "loss", "figures": "figures"}  # ours -> the papers' file


class Table:
    """A header and rows of text, shown as HTML where that is possible."""

    def __init__(self, header, rows, caption):
        self.header, self.rows, self.caption = header, rows, caption

    def __repr__(self):
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines)]
        text = ["  ".join(cell.ljust(n) for cell, n in zip(line, widths)) for line in lines]
        return "\n".join([*([self.caption] if self.caption else []), *map(str.rstrip, text)])

    def _repr_html_(self):
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in self.header)
        body = ""
        for first, *rest in self.rows:
            cells = "".join(f"<td{_words(cell)}>{escape(cell)}</td>" for cell in rest)
            body += f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
        return (
            f'<table class="table dataframe numbers">{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )


def _words(cell):
    """Sentences and commands stand left and may wrap; numbers stand right and may not."""
    return ' class="words"' if len(cell) > 20 and " " in cell else ""


def table(header, rows, *, digits=3, caption=""):
    """A table of words and numbers.

    Args:
        header: one string per column.
        rows: lists of cells: a string, a number, a pair (value, bracket), or None for a dash.
        digits: decimals of numbers that are not whole.
        caption: a sentence above the table.

    Returns:
        A `Table`; as the last expression of a cell it shows itself.

    Raises:
        ValueError: a row that has not one cell per column.

    Example:
        >>> table(["model", "mIoU"], [["Base", (0.472, 0.0243)], ["ours", None]])
        model  mIoU
        Base   0.472 (0.024)
        ours   -
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"rows: expected {len(header)} cells, as in header, got {row}")
    return Table(list(header), [[_cell(c, digits) for c in row] for row in rows], caption)


def _cell(value, digits):
    if value is None:
        return "-"
    if isinstance(value, tuple):
        value, bracket = value
        return _cell(value, digits) + (f" ({bracket:.{digits}f})" if bracket is not None else "")
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def results_table(results, paper_rows=None, *, names=None, caption=""):
    """The models of a results file, averaged over their seeds, beside a paper's numbers.

    Args:
        results: the content of a results file (`softcut_lib.train.results.read_results`).
        paper_rows: model -> {metric: (value, bracket)} as `paper_row` gives them.
        names: model -> words; the models are shown in this order, others after them.
        caption: a sentence above the table.

    Returns:
        A `Table` with one row per model: number of seeds, each metric with its bracket (standard
        deviation over the test images, divided by the root of their number, averaged over the
        seeds), and where there are `paper_rows` the paper's mIoU and number of figures.

    Source: thesis, the tables of section 3.1.

    Example:
        >>> run = {"model": "base", "parameters": 19969, "summary": dict(
        ...     iou=0.5, iou_bracket=0.02, loss=0.4, loss_bracket=0.03, figures=9.0,
        ...     figures_bracket=1.0)}
        >>> results_table({"rows": [run]}, {"base": {"miou": (0.472, 0.024)}}).rows[0][3]
        '0.500 (0.020)'
    """
    names, paper_rows = names or {}, paper_rows or {}
    models = {row["model"]: None for row in results["rows"]}
    rows = []
    for model in sorted(models, key=lambda m: list(names).index(m) if m in names else len(names)):
        runs = [row for row in results["rows"] if row["model"] == model]
        cells = [
            tuple(fmean(run["summary"][metric + part] for run in runs) for part in ("", "_bracket"))
            for metric in METRICS
        ]
        if paper_rows:
            printed = paper_rows.get(model, {})
            cells += [printed.get(METRICS[metric]) for metric in ("iou", "figures")]
        rows.append([names.get(model, model), runs[0]["parameters"], len(runs), *cells])
    header = ["model", "parameters", "seeds", "mIoU", "test loss", "figures"]
    header += ["paper: mIoU", "paper: figures"] if paper_rows else []
    return table(header, rows, caption=caption)


def provenance_table(results, *, caption=""):
    """How each run of a results file was made: command, commit, date, machine, wall time.

    Args:
        results: the content of a results file.
        caption: a sentence above the table.

    Returns:
        A `Table` with one row per run.

    Raises:
        KeyError: a field is missing; `read_results` refuses such a file with a message.
    """
    rows = []
    for run in results["rows"]:
        last = run["sessions"][-1]
        minutes = f"{run['wall_time_s'] / 60:.0f} min"
        where = f"{run['machine']['device']}, {run['machine']['threads']} threads"
        commit = last["commit"][:9]
        rows.append(
            [run["model"], run["seed"], last["command"], commit, last["date"][:10], where, minutes]
        )
    header = ["model", "seed", "command", "commit", "date", "device", "time"]
    return table(header, rows, caption=caption)


def comparison_table(rows, *, caption=""):
    """Cuts side by side: what each has learned, the direction of its gradient, what it costs.

    Args:
        rows: from `softcut_lib.train.contenders.side_by_side`.
        caption: a sentence above the table.

    Returns:
        A `Table`: IoU and figures on the test pictures, cosine of the gradients of scores and of
        weights with finite differences, milliseconds of both passes; a dash where a row has none.

    Example:
        >>> row = dict(name="soft cut", iou=0.5, iou_bracket=0.02, figures=4.0, scores=1.0,
        ...            weights=0.98, forward=0.0012, backward=0.001)
        >>> comparison_table([row])
        cut       test IoU     figures  cos scores  cos weights  forward ms  backward ms
        soft cut  0.50 (0.02)  4.00     1.00        0.98         1.20        1.00
    """
    header = [
        "cut", "test IoU", "figures", "cos scores", "cos weights", "forward ms", "backward ms",
    ]  # fmt: skip
    cells = []
    for row in rows:
        iou = None if row["iou"] is None else (row["iou"], row["iou_bracket"])
        spent = [None if row[p] is None else 1e3 * row[p] for p in ("forward", "backward")]
        cells.append([row["name"], iou, row["figures"], row["scores"], row["weights"], *spent])
    return table(header, cells, digits=2, caption=caption)
