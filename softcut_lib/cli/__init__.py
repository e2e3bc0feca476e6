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
  softcut reproduce horses --seeds 0 1 2                  all rows, into book/results/
  softcut segment photo.jpg --seeds scribbles.png         cut an object out

Where the data are: set SOFTCUT_DATA to the folder that holds weizmann_horse_db/. Runs are kept in
SOFTCUT_RUNS, else in the user's cache folder."""


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
        print("softcut: stopped; the same command with --resume continues", file=sys.stderr)
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
    from softcut_lib.cli.segment import SEEDS, segment

    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "softcut", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, action, about, **options):
        sub = commands.add_parser(name, help=about, description=about, **options)
        sub.set_defaults(action=action)
        return sub

    command("experiments", list_experiments, "List the experiments, their models and data.")

    sub = command("train", train, "Train and test one model of an experiment.")
    sub.add_argument("experiment", help="e.g. horses; see `softcut experiments`")
    sub.add_argument("--model", default="softcut", help="row of the experiment (default: softcut)")
    sub.add_argument("--seed", type=int, default=0, help="of weights and revealed pixels")
    sub.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    sub.add_argument("--overwrite", action="store_true", help="forget an earlier run")
    _training_options(sub)

    sub = command("evaluate", evaluate_run, "Test a trained network.")
    sub.add_argument("run", type=Path, help="run folder, best.ckpt or exported .safetensors")
    sub.add_argument("--data", help="another data set than the one it was trained on")
    sub.add_argument("--split", default="test", choices=["train", "val", "test"])
    sub.add_argument("--decode", choices=["min_cut"], help="hard masks by this, not by prob > 1/2")
    sub.add_argument("--threads", type=int)
    sub.add_argument("--out", type=Path, help="write every image's metrics to this JSON file")

    sub = command("export", export, "Write a trained network as one small safetensors file.")
    sub.add_argument("run", type=Path, help="run folder of a finished run")
    sub.add_argument("out", type=Path, help="file to write, NAME.safetensors")

    sub = command("reproduce", reproduce, "Train all rows and write book/results/*.json.")
    sub.add_argument("experiment")
    sub.add_argument("--models", nargs="+", help="rows (default: all)")
    sub.add_argument("--seeds", nargs="+", type=int, default=[0])
    sub.add_argument("--collect", action="store_true", help="only gather runs that are finished")
    sub.add_argument("--decode", choices=["min_cut"], help="test with these hard masks")
    sub.add_argument("--out", type=Path, help="results file")
    _training_options(sub)

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
    return parser


def _training_options(sub):
    sub.add_argument("--data", default="synthetic", help="synthetic (default) or weizmann")
    sub.add_argument("--scale", type=float, default=1.0, help="factor on the sides, e.g. 0.5")
    sub.add_argument("--profile", default="full", help="full, or fast for a short trial")
    sub.add_argument("--optimizer", help="adam or adagrad")
    sub.add_argument("--lr", type=float, help="learning rate")
    sub.add_argument("--epochs", type=int)
    sub.add_argument("--threads", type=int, help="CPU threads")
    sub.add_argument("--device", default="cpu", help="cpu or cuda")
    sub.add_argument("--runs", help="folder of the runs")


def _run(a, **options):
    from softcut_lib.train.experiments import run

    return run(
        a.experiment, data=a.data, scale=a.scale, profile=a.profile, optimizer=a.optimizer,
        lr=a.lr, epochs=a.epochs, threads=a.threads, device=a.device, runs=a.runs,
        command=a.command, **options,
    )  # fmt: skip


def list_experiments(a):
    from softcut_lib.train.experiments import EXPERIMENTS

    for name, experiment in EXPERIMENTS.items():
        print(f"{name}: {experiment.title}. {experiment.source}")
        print(
            f"  {experiment.optimizer}, lr {experiment.lr:g}, {experiment.epochs} epochs, "
            f"batch {experiment.batch}, {experiment.objective}; "
            f"profiles {', '.join(experiment.profiles)}"
        )
        for kind, rows in (("data", experiment.data), ("model", experiment.models)):
            for row, entry in rows.items():
                print(f"  --{kind} {row:18} {entry.about}")


def train(a):
    record = _run(a, model=a.model, seed=a.seed, resume=a.resume, overwrite=a.overwrite)
    print(_sentence(f"{a.model}, seed {a.seed}", record["summary"], record["counts"]["test"]))


def evaluate_run(a):
    import torch

    from softcut_lib.train.evaluation import evaluate, summarize
    from softcut_lib.train.experiments import EXPERIMENTS, choose, load_model
    from softcut_lib.train.runs import write_json
    from softcut_lib.train.shipped import trained_model

    if a.threads:
        torch.set_num_threads(a.threads)
    exported = a.run.suffix == ".safetensors"
    model, config = trained_model(a.run) if exported else load_model(a.run)
    model.decode = a.decode
    experiment = choose("experiment", config["experiment"], EXPERIMENTS)
    data = a.data or config["data"]
    items = choose("data", data, experiment.data).load(a.split, scale=config["options"]["scale"])
    test = evaluate(model, items, experiment.objective)
    summary = summarize(test)
    print(_sentence(f"{config['model']} on {data} ({a.split})", summary, len(items)))
    if a.out:
        write_json(a.out, {"config": config, "data": data, "split": a.split,
                           "decode": a.decode, "summary": summary, "test": test})  # fmt: skip


def export(a):
    from softcut_lib.train.shipped import export_model

    print(f"{export_model(a.run, a.out)}: load it with softcut_lib.trained_model")


def reproduce(a):
    from softcut_lib.train.decoding import decoded
    from softcut_lib.train.experiments import EXPERIMENTS, choose
    from softcut_lib.train.provenance import describe_session
    from softcut_lib.train.results import as_row, results_path, write_results

    experiment = choose("experiment", a.experiment, EXPERIMENTS)
    path = a.out or results_path(
        a.experiment, a.data, profile=a.profile, scale=a.scale, decode=a.decode
    )
    found = 0
    for model in a.models or list(experiment.models):
        for seed in a.seeds:
            record = _run(a, model=model, seed=seed, resume=True, train=not a.collect)
            if record is None:
                print(f"{model}, seed {seed}: no finished run", file=sys.stderr)
                continue
            if a.decode:
                record = decoded(record, experiment, a.decode, runs=a.runs)
                if record is None:
                    print(f"{model}: no conductances to cut", file=sys.stderr)
                    continue
            found += 1
            session = describe_session(a.command)
            write_results(path, [as_row(record)], experiment=(a.experiment, experiment),
                          data=a.data, session=session)  # fmt: skip
            print(_sentence(f"{model}, seed {seed}", record["summary"], record["counts"]["test"]))
    print(f"{found} rows in {path}")
    return 0 if found else 1


def _sentence(name, summary, count) -> str:
    parts = [f"{k} {summary[k]:.4f} ({summary[f'{k}_bracket']:.4f})" for k in ("iou", "loss")]
    figures = f"figures {summary['figures']:.2f} ({summary['figures_bracket']:.2f})"
    return f"{name}: {', '.join(parts)}, {figures} over {count} images"
