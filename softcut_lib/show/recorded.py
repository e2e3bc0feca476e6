"""What two small benchmarks have recorded, as tables and sentences (chapter 7, appendix A3).

`python -m benchmarks.variation` and `.playground` write one file each in book/results/.
"""

from softcut_lib.layers.variation import PUBLISHED_STEPS
from softcut_lib.show.benchmark_tables import milliseconds
from softcut_lib.show.tables import table

__all__ = ["frames_table", "variation_sentences", "variation_table"]


def variation_table(content, *, caption=None):
    """Total variation beside prox-tv, one line for each kind of scores and scale of weights.

    Args:
        content: as `read_recorded("variation-cpu")` gives it.
        caption: a sentence above the table; made from the content if None.

    Returns:
        A `Table`: median milliseconds of the exact layer; of both iterations with the published
        steps; of both with as many as prox-tv needs for the error wanted, how many these are, and
        the faster of our two as a share of prox-tv's.
    """
    body = []
    for kind, scale in dict.fromkeys((r["scores"], r["scale"]) for r in content["rows"]):
        rows = [r for r in content["rows"] if (r["scores"], r["scale"]) == (kind, scale)]
        fixed = {r["method"]: _median(r) for r in rows if r["steps"] == PUBLISHED_STEPS}
        equal = {r["method"]: _median(r) for r in rows if r["enough"]}
        (steps,) = {r["steps"] for r in rows if r["enough"] and r["steps"]}
        ours = min(equal["ours, exact"], equal["ours"])
        body.append([
            f"{content['kinds'][kind]}, {scale:g}", milliseconds(equal["ours, exact"]),
            milliseconds(fixed["ours"]), milliseconds(fixed["prox-tv"]), steps,
            milliseconds(equal["ours"]), milliseconds(equal["prox-tv"]),
            f"{ours / equal['prox-tv']:.2f}",
        ])  # fmt: skip
    target, (height, width) = content["target"], content["grid"]
    few = f"{PUBLISHED_STEPS} steps"
    header = ["scores, scale of weights", "exact", f"ours, {few}", f"prox-tv, {few}"]
    header += [f"steps to {target:.0e}", "ours, so many", "prox-tv, so many", "best / prox-tv"]
    default = f"Forward and backward, {height} x {width}, one thread: processor time in ms."
    return table(header, body, caption=default if caption is None else caption)


def variation_sentences(content):
    """What the numbers behind `variation_table` say: steps needed, equal steps, equal accuracy.

    Args:
        content: as `read_recorded("variation-cpu")` gives it.

    Returns:
        List of sentences; times are medians, and errors below 1e-9 count as rounding.
    """
    by_method = {"ours, exact": {}, "ours": {}, "prox-tv": {}}
    for row in content["rows"]:
        by_method[row["method"]][row["scores"], row["scale"], row["steps"]] = row
    peer, ours = by_method["prox-tv"], by_method["ours"]
    share = [_median(ours[key]) / _median(row) for key, row in peer.items()]
    apart = [abs(ours[k]["error"] / r["error"] - 1) for k, r in peer.items() if r["error"] > 1e-9]
    fixed = [row["error"] for row in peer.values() if row["steps"] == PUBLISHED_STEPS]
    enough = {key[:2]: row for key, row in peer.items() if row["enough"]}
    steps = [row["steps"] for row in enough.values()]
    exact = [_median(r) < _median(enough[key[:2]]) for key, r in by_method["ours, exact"].items()]
    return [
        f"A relative error of {content['target']:.0e} takes prox-tv {min(steps)} to "
        f"{max(steps)} steps ({PUBLISHED_STEPS} were tried, then a fifth more each time); "
        f"{PUBLISHED_STEPS} leave {min(fixed):.0e} to {max(fixed):.0e}.",
        f"With equal steps the layer takes {min(share):.2f} to {max(share):.2f} of prox-tv's time, "
        f"and the errors are equal to {100 * max(apart, default=0):.1f} %.",
        "At the error wanted the exact layer is the faster one on "
        f"{sum(exact)} of {len(exact)} problems.",
    ]


def _median(row):
    return row["seconds"]["median"]


def frames_table(content, *, caption=None):
    """The playground's frames: median and quartiles of the work, and from one to the next.

    Args:
        content: as `read_recorded("playground")` gives it.
        caption: a sentence above the table; made from the content if None.
    """
    body = []
    for row in content["rows"]:
        work, between = row["work_ms"], row["between_ms"]
        body.append([
            row["method"].replace("-", " "), row["frames"], f"{work['median']:.1f}",
            f"{work['q1']:.1f}–{work['q3']:.1f}", f"{between['median']:.1f}",
        ])  # fmt: skip
    height, width = content["grid"]
    default = f"{width} x {height} pixels, {content['browser']}: milliseconds of a frame."
    header = ["method", "frames", "solve and draw", "quartiles", "frame to frame"]
    return table(header, body, caption=default if caption is None else caption)
