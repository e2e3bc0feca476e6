"""The `softcut` command: train and test networks, gather results, segment a photograph."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

DESCRIPTION = "Differentiable graph cuts for image segmentation: the tools of the SoftCut book."
EXAMPLES = """examples:
  softcut experiments                                     what can be trained
  softcut train horses --model softcut --epochs 20        on synthetic horses
  softcut train horses --data weizmann --resume           on the photographs; goes on after a kill
  softcut evaluate RUN_FOLDER --decode min_cut            test a trained network
  softcut export RUN_FOLDER horses.safetensors            its network as one small file
  softcut train sign --profile fast                       traffic signs, a trial of a minute
  softcut reproduce horses --seeds 0 1 2                  the thesis' table, into book/results/
  softcut segment photo.jpg --seeds scribbles.png         cut an object out
  softcut doctor                                          what is installed, found, missing

Where the data are: set SOFTCUT_DATA to the folder that holds weizmann_horse_db/, camvid/,
cityscapes/, voc2012/, msra10k/; the data set "synthetic" needs nothing. Runs are kept in
SOFTCUT_RUNS, else in the user's cache folder. `softcut COMMAND --help` says more."""

GOES_ON = {
    "train": "; the same command with --resume continues",
    "reproduce": "; the same command continues",
}


def main(argv=None) -> int:
    """Run the command line; an error is one line on stderr and exit status 2."""
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = build_parser().parse_args(argv)
    arguments.command = recorded_command(argv)
    try:
        return arguments.action(arguments) or 0
    except (ValueError, TypeError, OSError) as error:
        print(f"softcut: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"softcut: {error}; pip install 'softcut-lib[train]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"softcut: stopped{GOES_ON.get(argv[0], '')}", file=sys.stderr)
        return 130


def recorded_command(argv) -> str:
    """The command as it is recorded: without folders, which say nothing to other readers.

    Example:
        >>> recorded_command(["train", "horses", "--runs", "somewhere", "--seed", "1"])
        'softcut train horses --seed 1'
    """
    kept, skip = [], False
    for word in argv:
        if not skip and not word.startswith(("--runs", "--out")):
            kept.append(word)
        skip = word in ("--runs", "--out")
    return shlex.join(["softcut", *kept])


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    from softcut_lib.cli import doctor as check_up
    from softcut_lib.cli.segment import SEEDS, segment
    from softcut_lib.cli.training import add_commands

    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "softcut", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, action, about, **options):
        sub = commands.add_parser(name, help=about, description=about, **options)
        sub.set_defaults(action=action)
        return sub

    add_commands(command, raw)

    command(
        "doctor", check_up.doctor, "Print what is installed, what runs here and what is missing.",
        epilog=check_up.EXAMPLES, formatter_class=raw,
    )  # fmt: skip

    sub = command(
        "segment", segment, "Cut an object out of a photograph.", epilog=SEEDS, formatter_class=raw
    )
    sub.add_argument("image", type=Path)
    sub.add_argument("--seeds", type=Path, required=True, help="scribbles, see below")
    sub.add_argument("-o", "--out", type=Path, help="mask, a PNG (default: IMAGE_mask.png)")
    sub.add_argument(
        "--method", default="soft-cut", choices=["soft-cut", "min-cut", "random-walker"]
    )
    sub.add_argument("--sigma", type=float, default=0.05, help="contrast of an edge (0.05)")
    sub.add_argument("--strength", type=float, default=50.0, help="smoothness (50)")
    sub.add_argument("--color", type=float, default=0.001, help="weight of seed colors (0.001)")
    sub.add_argument("--ask", action="store_true", help="say which pixel to mark next (chapter 16)")
    return parser
