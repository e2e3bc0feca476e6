"""Test trained networks on growing windows: `python -m benchmarks.windows --help`.

The recorded networks of a frames experiment were trained on windows of 160 pixels and lose on the
whole frame. Two explanations can be told apart: the running statistics of batch normalization are
those of windows, with the color outside of the frame among them; or the features are, since they
never saw so much of a scene. So each network is tested on its own windows, on larger ones with the
same margin and on the whole frame, and once more with its statistics counted again on training
frames that are seen in the same way. Not a timing: one IoU for each way and frame, which chapter 12
reads.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from softcut_lib.train.evaluation import (
    channels_last,
    cut_to_windows,
    evaluate,
    through_windows,
)
from softcut_lib.train.experiments import EXPERIMENTS, load_model
from softcut_lib.train.fitting import run_name, split_of
from softcut_lib.train.packing import as_lines
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.results import recorded
from softcut_lib.train.runs import runs_folder, write_atomically

from .options import count, output_file

RESULTS = Path(__file__).parents[1] / "book" / "results"


def ways(trained):
    """(name, windows to test on or None, whether the statistics are counted again) of each test."""
    side, stride = trained
    larger = (side + stride, 2 * stride)  # four times the pixels kept, the same margin
    seen = {f"windows of {n} every {s}": (n, s) for n, s in (trained, larger)}
    seen["whole frame"] = None
    return [(name, windows, again) for again in (False, True) for name, windows in seen.items()]


def count_again(net, items, windows):
    """Batch statistics of a network as plain means over images, each seen through the windows."""
    images = (
        cut_to_windows(item["image"][None], item["target"][None], windows)[0] for item in items
    )
    update_bn((channels_last(image) for image in images), channels_last(net))


def spread_out(items, number):
    """So many of the items, from all over the set: neighbors in a film are nearly alike."""
    chosen = np.linspace(0, len(items) - 1, min(number, len(items))).round().astype(int)
    return [items[int(place)] for place in chosen]


def tested(record, settings, *, test, known, runs, bar):
    """One row for each way to see the test frames; ``known`` are those that statistics are of."""
    folder = runs_folder(runs) / record["experiment"] / run_name(record)
    for way, windows, again in ways(settings.windows):
        model, _ = load_model(folder)
        if again:
            count_again(model.net, known, windows)
        iou = evaluate(through_windows(model, windows), test, settings.objective)["iou"]
        yield {
            "model": record["model"], "seed": record["seed"], "way": way,
            "statistics": "counted again" if again else "of the training",
            "iou": [round(value, 4) for value in iou],
        }  # fmt: skip
        bar.update()


def parse(argv):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.windows", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--experiment", choices=("frames", "frames-code"), default="frames")
    add("--data", choices=("camvid", "synthetic", "cityscapes"), default="camvid",
        help="camvid and cityscapes are read from SOFTCUT_DATA")  # fmt: skip
    add("--models", nargs="+", default=["base", "softcut-published"], metavar="MODEL",
        help="recorded rows whose checkpoints are here (default: %(default)s)")  # fmt: skip
    add("--frames", type=count, default=10**6, help="test frames at most (default: all)")
    add("--statistics", type=count, default=100, help="training frames to count (default 100)")
    add("--threads", type=count, help="of PyTorch (default: its own choice)")
    add("--runs", help="folder of all runs (default: where softcut train puts them)")
    add("--output", type=output_file, help="default: book/results/windows-EXPERIMENT-DATA.json")
    return parser.parse_args(argv)


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    options = parse(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    content, missing = recorded(options.experiment, options.data, models=options.models)
    if missing:
        sys.exit(f"--models: not recorded for {options.experiment}: {', '.join(missing)}")
    settings = EXPERIMENTS[options.experiment].with_options(options.data)
    records = [row for row in content["rows"] if row["model"] in options.models]
    started, rows = time.monotonic(), []
    test = spread_out(split_of(settings, records[0], "test"), options.frames)
    known = spread_out(split_of(settings, records[0], "train"), options.statistics)
    with tqdm(total=len(records) * len(ways(settings.windows)), unit="test") as bar:
        for record in records:
            bar.set_description(record["model"])
            rows += tested(record, settings, test=test, known=known, runs=options.runs, bar=bar)
    command = shlex.join(["python", "-m", "benchmarks.windows", *argv])
    content = {
        "schema": 1, "about": "recorded networks tested on windows of several sizes",
        "trained_on": options.experiment, "data": options.data,
        "statistics_frames": len(known), "images": [item["name"] for item in test],
        "machine": describe_machine(),
        "sessions": [describe_session(command)],
        "wall_time_s": round(time.monotonic() - started, 1), "rows": rows,
    }  # fmt: skip
    output = options.output or RESULTS / f"windows-{options.experiment}-{options.data}.json"
    write_atomically(output, as_lines(content).encode())
    for row in rows:
        words = f"{row['model']}, seed {row['seed']}, {row['way']}, statistics {row['statistics']}"
        print(f"{words}: IoU {sum(row['iou']) / len(row['iou']):.3f}")
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
