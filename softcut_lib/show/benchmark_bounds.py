"""What the solvers were meant to reach, and what a results file says (appendix Benchmarks).

Every verdict is computed: from the medians, with the quartiles beside it. A bound whose
measurement is not in the file says so.
"""

import math

import numpy as np

from softcut_lib.show.benchmark_tables import WHOLE, select
from softcut_lib.show.tables import table

__all__ = ["bounds", "bounds_table", "growth_exponents"]

LINEAR = 1.1  # exponent up to which we call a growth linear
FROM = 256 * 256  # smaller grids measure the fixed cost


def bounds(results, gpu=None):
    """Every bound as (statement, what was measured, words on it, met: True, False or None).

    Args:
        results: as `read_benchmarks` gives them.
        gpu: as `read_gpu_benchmarks` gives them, or None.
    """
    found = [*_plain(results), *_klu(results), *_multigrid(results), *_direct(results)]
    found += [*_contrast(results), *_share(results), *_frame(results), *_growth(results)]
    return [*found, *_memory(results), *_gpu_share(gpu)]


def bounds_table(results, gpu=None, *, caption="The bounds, computed from the results files"):
    """`bounds` as a table."""
    words = {True: "yes", False: "no", None: "not measured"}
    body = [
        [text, measured, note, words[met]] for text, measured, note, met in bounds(results, gpu)
    ]
    return table(["bound", "measured", "details", "met"], body, caption=caption)


def _main(results, kind):
    """The rows of a main cell, by method; those that missed the error are left out."""
    main = results["main"]
    rows = select(results, kind=kind, size=main["size"], batch=main["batch"])
    return {row["method"]: row for row in rows}


def _ours(results, rows):
    names = [method["name"] for method in results["methods"] if method["ours"]]
    reached = [rows[n] for n in names if n in rows and rows[n]["reached"]]
    return min(reached, key=lambda row: row["seconds"]["median"], default=None)


def _ratio(slow, fast):
    """(median, lowest, highest) of slow / fast, the latter two from the quartiles."""
    a, b = slow["seconds"], fast["seconds"]
    return np.array([a["median"] / b["median"], a["q1"] / b["q3"], a["q3"] / b["q1"]])


def _times(ratio):
    return f"{ratio[0]:.3g} ({ratio[1]:.3g}–{ratio[2]:.3g})"


def _against(results, peer, kinds, ours=None):
    """kind -> (ratio peer / ours, name of ours), where both are measured and ours is exact."""
    found = {}
    for kind in kinds:
        rows = _main(results, kind)
        best = _ours(results, rows) if ours is None else rows.get(ours)
        if best is not None and peer in rows and best["reached"]:
            found[kind] = _ratio(rows[peer], best), best["method"], rows[peer]["reached"]
    return found


def _words(found):
    return "; ".join(
        f"{kind} {_times(ratio)} by {name}" + ("" if reached else ", the peer missed the error")
        for kind, (ratio, name, reached) in found.items()
    )


def _all(text, found, kinds, limit):
    """A bound on the smallest ratio over these kinds."""
    if set(found) != set(kinds):
        return text, "-", "", None
    least = min((ratio for ratio, *_ in found.values()), key=lambda r: r[0])
    return text, _times(least), _words(found), bool(least[0] >= limit)


def _plain(results):
    kinds = list(results["kinds"])
    for peer, words in (
        ("plain CG", "plain CG"),
        ("plain CG, torch kernel", "plain CG as the reference writes it"),
    ):
        found = _against(results, peer, kinds)
        text = f"best of ours at least 15 times faster than {words}, geometric mean"
        if set(found) != set(kinds):
            yield text, "-", "", None
            continue
        mean = np.exp(np.mean([np.log(ratio) for ratio, *_ in found.values()], 0))
        yield text, _times(mean), _words(found), bool(mean[0] >= 15)


def _klu(results):
    kinds = list(results["kinds"])
    for limit, some in ((100, ["untrained", "photograph"]), (15, kinds)):
        which = "all kinds of" if some is kinds else "mild"
        found = _against(results, "KLU", some)
        text = f"best of ours at least {limit} times faster than KLU on {which} weights"
        yield _all(text, found, some, limit)


def _multigrid(results):
    # against WHOLE, which was the only CG when these bounds were set
    for kind in ("trained", "piecewise"):
        rows = _main(results, kind)
        ready = all(n in rows and rows[n]["reached"] for n in (WHOLE, "Multigrid"))
        steps = f"{kind} weights: Multigrid takes at most a quarter of the steps of {WHOLE}"
        time = f"{kind} weights: Multigrid takes at most half of the time of {WHOLE}"
        if not ready:
            yield steps, "-", "", None
            yield time, "-", "", None
            continue
        counts = [
            sum(rows[n]["iterations"][p]["max"] for p in ("forward", "backward"))
            for n in ("Multigrid", WHOLE)
        ]
        share = counts[0] / counts[1]
        words = f"{counts[0]} against {counts[1]} steps, both passes"
        yield steps, f"{share:.2f}", words, share <= 0.25
        ratio = _ratio(rows["Multigrid"], rows[WHOLE])
        words = ""
        if "CG" in rows and rows["CG"]["reached"]:
            half = _times(_ratio(rows["Multigrid"], rows["CG"]))
            words = f"of CG on every second pixel {half}"
        yield time, _times(ratio), words, bool(ratio[0] <= 0.5)


def _direct(results):
    kinds = list(results["kinds"])
    for limit, peer, text in (
        (8, "KLU", "Direct at least 8 times faster than KLU"),
        (1 / 1.5, "CHOLMOD", "Direct at most 1.5 times slower than CHOLMOD (ratio at least 0.67)"),
        (1, "SuperLU", "Direct faster than SuperLU"),
    ):
        yield _all(text, _against(results, peer, kinds, ours="Direct"), kinds, limit)


def _contrast(results):
    text = "Direct's time independent of the contrast within 10 %"
    times = [row["seconds"] for row in results["contrast"]]
    if not times:
        return [(text, "-", "", None)]
    medians = [t["median"] for t in times]
    spread = max(medians) / min(medians) - 1
    noise = max(t["q3"] / t["q1"] for t in times) - 1
    words = f"contrast 1 to {max(r['contrast'] for r in results['contrast']):.0e}"
    words += f"; quartiles of one contrast lie up to {100 * noise:.0f} % apart"
    return [(text, f"{100 * spread:.1f} %", words, spread <= 0.1)]


def _share(results):
    text = "the layer takes at most 5 % of a training step, trained weights"
    rows = [row for row in results["training"] if row.get("share")]
    if not rows or results["quick"]:
        return [(text, "-", "", None)]
    best = min(rows, key=lambda row: row["share"]["median"])
    share = [100 * best["share"][part] for part in ("median", "q1", "q3")]
    measured = f"{share[0]:.1f} % ({share[1]:.1f}–{share[2]:.1f})"
    return [(text, measured, f"by {best['method']}", share[0] <= 5)]


def _frame(results):
    for kind, limit in (("untrained", 0.3), ("trained", 1.0)):
        text = f"1024 x 2048 solved to {results['target']:.0e} in {limit} s, {kind} weights"
        rows = [r for r in results["frame"] if r["kind"] == kind and r["size"] == [1024, 2048]]
        reached = [r for r in rows if r["reached"] and r["error"] <= results["target"]]
        if not reached:
            yield text, "-", "", None if not rows else False
            continue
        best = min(reached, key=lambda row: row["seconds"]["median"])
        time = best["seconds"]
        measured = f"{time['median']:.2f} s ({time['q1']:.2f}–{time['q3']:.2f})"
        yield text, measured, f"by {best['method']}", time["median"] <= limit


def growth_exponents(results):
    """method -> fitted exponent of time against pixels, from 256 x 256 on (three sizes at least).

    Source: least squares of log time on log pixels.
    """
    found = {}
    for method in dict.fromkeys(row["method"] for row in results["growth"]):
        rows = [
            row
            for row in results["growth"]
            if row["method"] == method
            and row["status"] == "measured"
            and math.prod(row["size"]) >= FROM
        ]
        if len(rows) > 2:
            pixels = np.log([math.prod(row["size"]) for row in rows])
            times = np.log([row["seconds"]["median"] for row in rows])
            found[method] = float(np.polyfit(pixels, times, 1)[0])
    return found


def _growth(results):
    exponents = growth_exponents(results)
    for method in ("CG", "Multigrid"):
        text = f"{method}: time grows linearly with the pixels (exponent at most {LINEAR})"
        if method not in exponents:
            yield text, "-", "", None
            continue
        sizes = [r["size"] for r in results["growth"]
                 if r["method"] == method and r["status"] == "measured"]  # fmt: skip
        words = f"fitted from 256 x 256 to {sizes[-1][0]} x {sizes[-1][1]}"
        yield text, f"{exponents[method]:.2f}", words, exponents[method] <= LINEAR


def _memory(results):
    for row in results["memory"]:
        text = f"{row['method']} needs at most {row['allowed']} arrays of the grid's size"
        words = f"peak of one fused solve at {row['size'][0]} x {row['size'][1]}, packing included"
        yield text, f"{row['arrays']:.1f}", words, row["arrays"] <= row["allowed"]


def _gpu_share(gpu):
    rows = {row["method"]: row for row in gpu["training"]} if gpu else {}
    for method, limit in (("CG", 10), ("Direct", 25)):
        text = f"on a GPU the layer takes at most {limit} % of a training step, {method}"
        row = rows.get(method)
        if row is None:
            yield text, "-", "", None
            continue
        error = max(value for value in row["errors"].values() if value is not None)
        share = 100 * row["share"]
        words = f"batch {row['batch']}, largest error {error:.0e}"
        yield text, f"{share:.1f} %", words, bool(share <= limit)
