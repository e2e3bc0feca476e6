"""Recorded runs in sentences: what they answer, how they ended (chapters 10, 11, A2).

A question asks whether the second of two models is better; the answer is the verdict of
`softcut_lib.train.pairing`, an interval over trainings and test images, and nothing else.
"""

import textwrap
from collections import Counter

from softcut_lib.train.seeds import runs_of

__all__ = ["answer", "answers", "endings", "sort_by_verdict"]


def answer(question, gap, *, higher="yes", lower="no, it is worse", same="no difference seen"):
    """A question about two models, answered by a paired difference of their mIoU.

    Args:
        question: whether the second model is better than the first, with its question mark.
        gap: a `softcut_lib.train.pairing.Difference` of "iou", or None where nothing is recorded.
        higher, lower, same: what the answer is if the interval lies above zero, below, or holds it.

    Returns:
        The question, the answer, and what it rests on.

    Raises:
        ValueError: the difference is one of another metric.

    Example:
        >>> from softcut_lib.train.pairing import Difference
        >>> answer("Does it help?", Difference("a", "b", "iou", .05, (.01, .09), .004, (0, 1), 98))
        'Does it help? Yes: +0.050 mIoU, 95 % interval +0.010 to +0.090 (2 seeds, 98 images).'
        >>> answer("Does it help?", None)
        'Does it help? Not recorded yet.'
    """
    if gap is None:
        return f"{question} Not recorded yet."
    if gap.metric != "iou":
        raise ValueError(f"gap: expected a difference of 'iou', got one of {gap.metric!r}")
    if gap.interval is None:
        return (
            f"{question} Not enough runs to say: {gap.mean:+.3f} mIoU with a single seed "
            f"({gap.by_image:.3f} over {gap.images} images)."
        )
    words = {"higher": higher, "lower": lower, "no difference seen": same}[gap.verdict]
    low, high = gap.interval
    return (
        f"{question} {words[0].upper()}{words[1:]}: {gap.mean:+.3f} mIoU, 95 % interval {low:+.3f} "
        f"to {high:+.3f} ({len(gap.seeds)} seeds, {gap.images} images)."
    )


def answers(questions, gaps):
    """Several questions about two models each, answered one below the other.

    Args:
        questions: question -> (first, second), or (first, second, words) with what `answer` is to
            say, a dict of ``higher``, ``lower`` and ``same``.
        gaps: from `softcut_lib.train.pairing.paired_differences`, of "iou".

    Returns:
        The answers in lines of at most 84 characters.

    Example:
        >>> print(answers({"Does it help?": ("a", "b"), "And c?": ("a", "c")}, []))
        Does it help? Not recorded yet.
        And c? Not recorded yet.
    """
    found = {(gap.first, gap.second): gap for gap in gaps}
    sentences = [
        answer(question, found.get((first, second)), **(words[0] if words else {}))
        for question, (first, second, *words) in questions.items()
    ]
    return "\n".join(textwrap.fill(sentence, 84) for sentence in sentences)


def sort_by_verdict(gaps, *, names=None):
    """The second models of some differences, sorted by the verdict on them, as one sentence.

    Args:
        gaps: from `softcut_lib.train.pairing.paired_differences`.
        names: model -> words.

    Example:
        >>> from softcut_lib.train.pairing import Difference
        >>> gap = Difference("a", "b", "iou", 0.05, (0.01, 0.09), 0.004, (0, 1, 2), 98)
        >>> sort_by_verdict([gap])
        'Higher: b.'
    """
    names, sorted_out = names or {}, {}
    for gap in gaps:
        sorted_out.setdefault(gap.verdict, []).append(names.get(gap.second, gap.second))
    parts = [f"{verdict}: {'; '.join(models)}" for verdict, models in sorted_out.items()]
    return ". ".join(part[0].upper() + part[1:] for part in parts or ["not recorded yet"]) + "."


def endings(results, *, names):
    """How the recorded runs ended: a sentence for each one that stopped itself, one for the others.

    Args:
        results: a results file's content, one set of options, or None.
        names: model -> words; others are passed over.

    Returns:
        List of sentences.

    Example:
        >>> row = {"model": "base", "seed": 0, "stopped": None}
        >>> endings({"rows": [row]}, names={"base": "Base"})
        ['The one run reached its end.']
    """
    sentences, count = [], Counter()
    for model, name in names.items():
        for seed, row in runs_of(results, model).items():
            stop = row.get("stopped")
            count[bool(stop)] += 1
            if stop:
                done, asked = len(row["history"]["val_loss"]), row["options"]["epochs"]
                sentences.append(
                    f"{name}, seed {seed}, stopped itself in pass {done + 1} of {asked} "
                    f"({stop['reason'].split(';')[0]}); it is tested with its best network until "
                    f"then, that of pass {row['best_epoch'] + 1}."
                )
    ended, all_runs = count[False], count.total()
    if not all_runs:
        return ["No recorded runs."]
    if ended == all_runs:
        whole = "The one run" if ended == 1 else "Both runs" if ended == 2 else f"All {ended} runs"
    else:
        whole = f"{ended or 'None'} of {all_runs} runs"
    return [*sentences, f"{whole} reached {'its' if ended < 2 else 'their'} end."]
