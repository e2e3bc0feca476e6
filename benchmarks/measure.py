"""How a row comes about: the tolerance for the wanted error, the error, the memory, the times."""

import ctypes
import gc
import time
import warnings

import numpy as np
import torch

MAX_STEPS = 20_000
TARGET = 1e-4  # relative error of x and of both gradients, the worst sample counts


def errors(answer, reference):
    """Relative 2-norm errors of the worst sample: {"x", "scores", "weights"}; None where absent."""
    weights = None if answer.weights is None else _flat(answer.weights)
    return {
        "x": _error(answer.x, reference.x),
        "scores": None if answer.scores is None else _error(answer.scores, reference.scores),
        "weights": None if weights is None else _error(weights, _flat(reference.weights)),
    }


def _flat(weights):
    return torch.cat([w.flatten(1) for w in weights], 1)


def _error(value, reference):
    difference = (value.double() - reference).flatten(1).norm(dim=1)
    error = float((difference / reference.flatten(1).norm(dim=1)).max())
    return error if np.isfinite(error) else 1e30  # JSON has no infinity


def worst(found):
    return max(value for value in found.values() if value is not None)


def quietly(run):
    """Run without `ConvergenceWarning`: the error is measured anyway, and decides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run()


def find_setting(method, problem, reference, *, start=1e-4, found=None):
    """The loosest setting found that reaches the target on this very problem (not timed).

    `found` keeps what was found for methods that are tuned by the same faster one; those aim a
    little below the target, since their rounding differs.

    Returns (setting, reached). Methods that loop over samples are tuned on the first sample; the
    row's own error, over the whole batch, is measured anyway.
    """
    if method.search == "none":
        return dict(method.choices[0]), True
    if not method.batched:
        problem, reference = problem.first(), _first(reference)
    if method.search == "choices":
        for choice in method.choices:
            if _reached(method.prepare, problem, choice, reference) <= TARGET:
                return dict(choice), True
        return dict(method.choices[-1]), False
    if found is not None and method.tuned_by in found:
        return found[method.tuned_by]
    prepare, aim = method.prepare, TARGET
    if method.tuned_by is not None:
        prepare, aim = method.tuned_by, 0.9 * TARGET
    for choice in method.choices:
        tol, best = _find_tolerance(prepare, problem, choice, reference, start, aim)
        if tol is not None:
            break
    result = {**choice, "tol": best if tol is None else tol}, tol is not None
    if found is not None and method.tuned_by is not None:
        found[method.tuned_by] = result
    return result


def _first(reference):
    return type(reference)(
        reference.x[:1], reference.scores[:1], [w[:1] for w in reference.weights]
    )


def _reached(prepare, problem, setting, reference):
    return worst(errors(quietly(prepare(problem, setting)), reference))


def _find_tolerance(prepare, problem, choice, reference, start, target, attempts=7):
    """(loosest tolerance that reached the target or None, the most accurate one tried)."""
    tol, good, best, failures, before = start, None, (np.inf, start), [], np.inf
    for _ in range(attempts):
        error = _reached(prepare, problem, {**choice, "tol": tol}, reference)
        best = min(best, (error, tol))
        if error <= target:
            good = max(good or 0, tol)
            if error >= target / 3:
                break
        else:
            failures.append(tol)
            if len(failures) > 1 and error > 0.8 * before:  # rounding: tighter does not help
                break
            before = error
        # error grows about as the tolerance does; aim a little below the target
        tol = float(np.clip(tol * (0.7 * target / max(error, 1e-12)), tol / 100, tol * 30))
        if good and failures and tol >= min(failures):
            tol = (good * min(failures)) ** 0.5
        tol = float(f"{min(tol, 0.5):.2g}")
        if tol < 1e-14 or tol in failures or tol == good:
            break
    return good, best[1]


def verified(method, problem, reference, setting, *, slow=5.0):
    """(setting, function, answer, seconds, memory, errors), tightened until the batch fits.

    Runs of more than `slow` seconds are tightened once only.
    """
    for attempt in range(4):
        run = method.prepare(problem, setting)
        answer, seconds, memory = observed(run)
        found = errors(answer, reference)
        if "tol" not in setting or worst(found) <= TARGET or (seconds > slow and attempt):
            break
        setting = {**setting, "tol": float(f"{setting['tol'] * 0.6 * TARGET / worst(found):.2g}")}
        if setting["tol"] < 1e-14:
            break
    return setting, run, answer, seconds, memory, found


def observed(run):
    """(answer, seconds, peak memory in bytes above what was held before; None where unknown)."""
    before = reset_peak()
    start = time.perf_counter()
    answer = quietly(run)
    seconds = time.perf_counter() - start
    peak = _status("VmHWM")
    memory = None if before is None or peak is None else max(peak - before, 0)
    return answer, seconds, memory


def reset_peak():
    """Give freed memory back, set the process' peak to what it holds now, and return that."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except (OSError, AttributeError):
        return None
    return _status("VmRSS")


def _status(field):
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None


def interleaved(runs, firsts, *, seconds, rounds=15):
    """Times of several functions, measured in turns, so that a slow moment meets all of them.

    Args:
        runs: name -> function.
        firsts: name -> seconds of a first run. Where it took longer than `seconds`, it is the
            measurement; else it was the warm-up.
        seconds: time to spend on each of them, at least one run.

    Returns:
        name -> list of seconds.
    """
    times = {name: [firsts[name]] if firsts[name] > seconds else [] for name in runs}
    names = list(runs)
    for turn in range(rounds):
        first = turn % max(len(names), 1)
        for name in names[first:] + names[:first]:
            spent = sum(times[name])
            expected = times[name][-1] if times[name] else 0
            if times[name] and spent + expected > seconds:
                continue
            start = time.perf_counter()
            quietly(runs[name])
            times[name].append(time.perf_counter() - start)
    return times


def median_time(run, *, seconds=1.0, rounds=15):
    """Times of one function, after one warm-up."""
    _, first, _ = observed(run)
    return interleaved({"": run}, {"": first}, seconds=seconds, rounds=rounds)[""]


def spread(values):
    """Median, quartiles, least and number of some times."""
    values = np.asarray(values, float)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    numbers = {"median": middle, "q1": low, "q3": high, "min": values.min()}
    return {name: float(f"{v:.5g}") for name, v in numbers.items()} | {"n": len(values)}


def steps(counts):
    """Least, median and most steps over the samples; None for a method without steps."""
    if not counts or max(counts) == 0:
        return None
    return {"min": int(min(counts)), "median": float(np.median(counts)), "max": int(max(counts))}
