"""Count what questions are worth: `python -m benchmarks.questions --help`.

The test horses of Weizmann at 80 x 104, or synthetic ones: the random walker begins with one pixel
of each label, a rule chooses the next pixels, and the mask gives their labels. The conductances'
sigma is the one of the best overlap after the last random question on training images, so that it
favors no rule. Not a timing: overlaps for each image, seed and rule, which chapter 16 reads.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

import softcut_lib as sc
from softcut_lib.cuts.rounds import RULES, answer_questions
from softcut_lib.train.packing import as_lines
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import write_atomically
from softcut_lib.train.scribbled import resized

RESULTS = Path(__file__).parents[1] / "book" / "results"
SIZE = (80, 104)
SIGMAS = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
LEAST = 1e-4
"""Added to every conductance beside the largest, 1."""


def horses(data, split, count):
    """Images (B, 3, h, w) in [0, 1], masks (B, h, w) and names, all of one size."""
    make = sc.WeizmannHorses if data == "weizmann" else sc.SyntheticHorses
    whole = make(split=split)
    items = [resized(whole[k], SIZE) for k in range(min(count, len(whole)))]
    image, mask = (torch.stack([item[part] for item in items]) for part in ("image", "target"))
    return image.double(), mask, [item["name"] for item in items]


def rounds(image, truth, sigma, rule, questions, seed):
    """Overlap after each question, (questions + 1, B)."""
    generator = torch.Generator().manual_seed(seed)
    weights = [w + LEAST for w in sc.image_weights(image, sigma=sigma)]
    return answer_questions(weights, truth, rule, questions=questions, generator=generator)


def parse(argv):
    parser = argparse.ArgumentParser("python -m benchmarks.questions", description=__doc__)
    add = parser.add_argument
    add("--data", choices=("weizmann", "synthetic"), default="weizmann",
        help="weizmann is read from SOFTCUT_DATA")  # fmt: skip
    add("--questions", type=int, default=20, help="of each image (default 20)")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the first pixels")
    add("--images", type=int, default=98, help="test images at most (default 98)")
    add("--training", type=int, default=40, help="training images for sigma (default 40)")
    add("--rules", nargs="+", choices=tuple(RULES), default=list(RULES))
    add("--output", type=Path, help="default: book/results/questions-DATA.json")
    return parser.parse_args(argv)


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    options = parse(argv)
    output = options.output or RESULTS / f"questions-{options.data}.json"
    started = time.monotonic()
    image, truth, _ = horses(options.data, "train", options.training)
    chosen = {}
    for sigma in tqdm(SIGMAS, desc="sigma", unit="value"):
        chosen[sigma] = float(
            rounds(image, truth, sigma, "random", options.questions, 0)[-1].mean()
        )
    sigma = max(chosen, key=chosen.get)
    image, truth, names = horses(options.data, "test", options.images)
    rows = []
    for rule, seed in tqdm([(r, s) for r in options.rules for s in options.seeds], unit="run"):
        found = rounds(image, truth, sigma, rule, options.questions, seed)
        overlaps = [[round(v, 3) for v in line] for line in found.tolist()]
        rows.append({"rule": rule, "seed": seed, "iou": overlaps})
    content = {
        "schema": 1,
        "about": "random walker with one more answer after each question: intersection over union",
        "data": options.data,
        "size": list(SIZE),
        "images": names,
        "sigma": sigma,
        "sigmas": {f"{s:g}": round(v, 4) for s, v in chosen.items()},
        "least": LEAST,
        "machine": describe_machine(),
        "sessions": [describe_session(shlex.join(["python", "-m", "benchmarks.questions", *argv]))],
        "wall_time_s": round(time.monotonic() - started, 1),
        "rows": rows,
    }
    write_atomically(output, as_lines(content).encode())
    for rule in options.rules:
        last = [torch.tensor(r["iou"][-1]).mean() for r in rows if r["rule"] == rule]
        print(f"{rule:10s} IoU {float(torch.stack(last).mean()):.3f} after the last question")
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
