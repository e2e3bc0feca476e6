"""The `softcut` command."""

from __future__ import annotations

import argparse
import shlex
import sys


def main(argv=None) -> int:
    """Run the command line; errors are one line on stderr and exit status 2."""
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = build_parser().parse_args(argv)
    arguments.command = shlex.join(["softcut", *argv])
    try:
        return arguments.action(arguments) or 0
    except (ValueError, TypeError, FileNotFoundError) as error:
        print(f"softcut: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("softcut: stopped; the same command with --resume continues", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="softcut")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train")
    train.add_argument("experiment")
    train.add_argument("--model", default="softcut")
    train.add_argument("--data", default="synthetic")
    train.add_argument("--scale", type=float, default=1.0)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--profile", default="full")
    train.add_argument("--optimizer")
    train.add_argument("--lr", type=float)
    train.add_argument("--epochs", type=int)
    train.add_argument("--threads", type=int)
    train.add_argument("--device", default="cpu")
    train.add_argument("--resume", action="store_true")
    train.add_argument("--overwrite", action="store_true")
    train.add_argument("--runs")
    train.set_defaults(action=_train)
    return parser


def _train(a) -> None:
    from softcut_lib.train.experiments import run

    record = run(
        a.experiment, model=a.model, data=a.data, seed=a.seed, profile=a.profile,
        optimizer=a.optimizer, lr=a.lr, epochs=a.epochs, scale=a.scale, threads=a.threads,
        device=a.device, resume=a.resume, overwrite=a.overwrite, runs=a.runs, command=a.command,
    )
    print(record["summary"])


if __name__ == "__main__":
    sys.exit(main())
