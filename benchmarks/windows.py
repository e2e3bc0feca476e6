"""Test networks on windows that grow around the same pixels: `python -m benchmarks.windows`.

The recorded networks of a frames experiment were trained on windows. On the whole frame they may
answer worse, for two reasons: the running statistics of batch normalization are those of windows,
with the color outside of the frame among them; or the features are others where a network sees more
of a scene. So every network answers for the middle of each test frame, seen in windows as it was
trained, in one larger window, and in the whole frame, nothing of it outside; and once more with its
statistics counted again on training frames seen in the same way. Not a timing: one IoU for each way
and frame, which chapter 12 reads.
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

from softcut_lib.models.windows import inner_windows, join_windows
from softcut_lib.train.evaluation import channels_last
from softcut_lib.train.experiments import EXPERIMENTS, load_model
from softcut_lib.train.fitting import run_name, split_of
from softcut_lib.train.metrics import mean_iou
from softcut_lib.train.packing import as_lines
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.results import recorded
from softcut_lib.train.runs import runs_folder, write_atomically

from .options import count, output_file

RESULTS = Path(__file__).parents[1] / "book" / "results"


def ways(window, stride):
    """name -> (side, stride) of the windows, None for the whole frame; all keep the same pixels."""
    own, larger = (window, stride), (window + stride, 2 * stride)
    return {
        f"4 windows of {own[0]}": own, f"1 window of {larger[0]}": larger, "the whole frame": None
    }  # fmt: skip


def middle(maps, side):
    """The middle (..., side, side) of maps or targets (..., h, w)."""
    top, left = ((n - side) // 2 for n in maps.shape[-2:])
    if min(top, left) < 0:
        raise ValueError(f"frames must have at least {side} x {side} pixels, got {maps.shape[-2:]}")
    return maps[..., top : top + side, left : left + side]


def seen(image, kept, windows):
    """What the network is given, to answer for the middle kept x kept pixels of (1, C, h, w)."""
    if windows is None:
        return channels_last(image)
    side, stride = windows
    return channels_last(inner_windows(middle(image, kept + side - stride), side, stride))


@torch.no_grad()
def answers(network, items, kept, windows):
    """IoU of each frame's middle, the mean over its classes."""
    found = []
    for item in items:
        prob = network(seen(item["image"][None], kept, windows)).prob
        if windows is None:
            prob = middle(prob, kept)
        else:
            prob = join_windows(prob, (kept, kept), window=windows[0], stride=windows[1])
        found.append(float(mean_iou(prob, middle(item["target"][None], kept))))
    return found


def spread_out(items, number):
    """So many of the items, from all over the set: neighbors in a film are nearly alike."""
    chosen = np.linspace(0, len(items) - 1, min(number or len(items), len(items)))
    return [items[int(place)] for place in chosen.round()]


def tested(record, folder, windows, *, test, known, bar):
    """One row for each way to see the test frames; ``known`` are those that statistics are of."""
    kept = 2 * windows[1]
    for again in (False, True):
        for name, way in ways(*windows).items():
            network = channels_last(load_model(folder)[0])
            if again:
                update_bn((seen(item["image"][None], kept, way) for item in known), network.net)
            yield {
                "model": record["model"], "seed": record["seed"], "seen": name,
                "statistics": "counted again" if again else "of the training",
                "iou": [round(value, 4) for value in answers(network, test, kept, way)],
            }  # fmt: skip
            bar.update()


def parse(argv):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.windows", description=__doc__.partition(": `")[0]
    )
    add = parser.add_argument
    add("--experiment", choices=("frames", "frames-code"), default="frames")
    add("--data", choices=("camvid", "cityscapes"), default="camvid",
        help="read from SOFTCUT_DATA")  # fmt: skip
    add("--models", nargs="+", default=["base", "softcut-published"], metavar="MODEL",
        help="recorded rows whose checkpoints are here (default: %(default)s)")  # fmt: skip
    add("--frames", type=count, help="test frames at most (default: all)")
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
    results, missing = recorded(options.experiment, options.data, models=options.models)
    if missing:
        sys.exit(f"--models: not recorded for {options.experiment}: {', '.join(missing)}")
    records = [row for row in results["rows"] if row["model"] in options.models]
    folders = [runs_folder(options.runs) / row["experiment"] / run_name(row) for row in records]
    gone = [folder.name for folder in folders if not (folder / "best.ckpt").exists()]
    if gone:
        sys.exit(f"--runs: no best.ckpt of {', '.join(gone)}; train it with softcut train")
    settings = EXPERIMENTS[options.experiment].with_options(options.data)
    started, rows = time.monotonic(), []
    test = spread_out(split_of(settings, records[0], "test"), options.frames)
    known = spread_out(split_of(settings, records[0], "train"), options.statistics)
    with tqdm(total=len(records) * 2 * len(ways(*settings.windows)), unit="test") as bar:
        for record, folder in zip(records, folders, strict=True):
            bar.set_description(record["model"])
            rows += tested(record, folder, settings.windows, test=test, known=known, bar=bar)
    command = shlex.join(["python", "-m", "benchmarks.windows", *argv])
    content = {
        "schema": 1, "about": "networks trained on windows, the same pixels in growing windows",
        "networks": options.experiment, "data": options.data,
        "statistics_frames": len(known), "images": [item["name"] for item in test],
        "machine": describe_machine(), "sessions": [describe_session(command)],
        "wall_time_s": round(time.monotonic() - started, 1), "rows": rows,
    }  # fmt: skip
    output = options.output or RESULTS / f"windows-{options.experiment}-{options.data}.json"
    write_atomically(output, as_lines(content).encode())
    for row in rows:
        words = f"{row['model']}, seed {row['seed']}, {row['seen']}, statistics {row['statistics']}"
        print(f"{words}: IoU {sum(row['iou']) / len(row['iou']):.3f}")
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
