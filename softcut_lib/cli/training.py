"""`softcut experiments`, `train`, `evaluate`, `export`, `reproduce`: from a row to its results."""

from __future__ import annotations

import sys
from pathlib import Path

TRAIN = """examples:
  softcut train horses --model softcut --epochs 20
  softcut train sign --model base --profile fast          a minute, on generated streets
  softcut train sign --data camvid --model softcut-published --seed 1 --resume
  softcut train sign --data camvid --profile gpu --device cuda --precision bf16-mixed
  softcut train sign --batch 32 --devices 2               16 images on each of two devices

A run is saved after every epoch, that is whenever the network is validated. Killed at any step, it
goes on from there with --resume, and ends with the same numbers. --devices and --accumulate share a
batch out: batch statistics and pooled losses are then those of a share, so the training is another
one, and its record says so. Rows from scribbles share the steps that they begin with alike: the
numbers are the same, and --overwrite makes these steps again."""

REPRODUCE = """examples:
  softcut reproduce horses --data weizmann                the rows of the thesis' table
  softcut reproduce sign --data camvid --seeds 0 1 2 --models base softcut-published
  softcut reproduce sign --models all --profile fast      everything, as a trial
  softcut reproduce sign-maxflow --data camvid            trains sign, tests with MaxFlow

Unfinished runs go on, finished ones are read. A row whose training breaks down before it was ever
validated is left out, and the exit status is then 2; it is 1 where no row was found at all. The
file keeps one value per test image and seed."""

EXPERIMENTS = "examples:\n  softcut experiments\n  softcut experiments horses"

EVALUATE = """examples:
  softcut evaluate RUN_FOLDER --out metrics.json          every image's metrics
  softcut evaluate horses.safetensors --decode min_cut    an exported network, hard masks"""

EXPORT = "example:\n  softcut export RUN_FOLDER horses.safetensors"

WHOLE = "test on whole frames where the experiment takes windows"


def add_commands(command, raw):
    """Add the five commands; ``command(name, action, about, **options)`` gives their parsers."""
    sub = command(
        "experiments", list_experiments, "List the experiments, their models and data.",
        epilog=EXPERIMENTS, formatter_class=raw,
    )  # fmt: skip
    sub.add_argument("experiment", nargs="?", help="one of them, with its models and settings")

    sub = command(
        "train", train, "Train and test one model of an experiment.", epilog=TRAIN,
        formatter_class=raw,
    )  # fmt: skip
    sub.add_argument("experiment", help="e.g. horses or sign; see `softcut experiments`")
    sub.add_argument("--model", default="softcut", help="row of the experiment (default: softcut); "
                     "`softcut experiments NAME` lists them")  # fmt: skip
    sub.add_argument("--seed", type=int, default=0, help="of weights, order and revealed pixels")
    sub.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    sub.add_argument("--overwrite", action="store_true", help="forget an earlier run")
    _training_options(sub)

    sub = command(
        "evaluate", evaluate_run, "Test a trained network.", epilog=EVALUATE, formatter_class=raw
    )
    sub.add_argument("run", type=Path, help="run folder, best.ckpt or exported .safetensors")
    sub.add_argument("--data", help="another data set than the one it was trained on")
    sub.add_argument("--split", default="test", choices=["train", "val", "test"])
    sub.add_argument("--decode", choices=["min_cut"], help="hard masks by this, not by prob > 1/2")
    sub.add_argument("--whole", action="store_true", help=WHOLE)
    sub.add_argument("--threads", type=int, help="CPU threads")
    sub.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    sub.add_argument("--out", type=Path, help="write every image's metrics to this JSON file")

    sub = command(
        "export", export, "Write a trained network as one small safetensors file.", epilog=EXPORT,
        formatter_class=raw,
    )  # fmt: skip
    sub.add_argument("run", type=Path, help="run folder of a finished run")
    sub.add_argument("out", type=Path, help="file to write, NAME.safetensors")

    sub = command(
        "reproduce", reproduce, "Train the rows of the paper's table and write book/results/.",
        epilog=REPRODUCE, formatter_class=raw,
    )  # fmt: skip
    sub.add_argument("experiment", help="e.g. horses or sign; see `softcut experiments`")
    sub.add_argument(
        "--models", nargs="+", help="rows, or all (default: those that the paper prints, if any)"
    )
    sub.add_argument("--seeds", nargs="+", type=int, default=[0], help="e.g. 0 1 2 (default: 0)")
    sub.add_argument("--collect", action="store_true", help="only gather runs that are finished")
    sub.add_argument("--decode", choices=["min_cut"], help="test with these hard masks")
    sub.add_argument("--whole", action="store_true", help=WHOLE)
    sub.add_argument("--out", type=Path, help="results file (default: in book/results/)")
    _training_options(sub)


def _training_options(sub):
    what = sub.add_argument_group("what is trained")
    what.add_argument("--data", default="synthetic", help="synthetic (default), weizmann, camvid, "
                      "cityscapes, voc, msra; `softcut experiments NAME` says which")  # fmt: skip
    what.add_argument("--profile", default="full", help="full (default); fast: a trial of a minute "
                      "or two; gpu: the streets' larger budget")  # fmt: skip
    what.add_argument("--steps", type=int, help="optimizer steps in all, in place of epochs")
    what.add_argument("--epochs", type=int, help="epochs: how often it is validated and saved")
    what.add_argument("--batch", type=int, help="images of one step, over all devices and parts")
    what.add_argument("--test-batch", type=int, help="images tested together (1; more for a GPU)")
    what.add_argument("--optimizer", help="adam or adagrad")
    what.add_argument("--lr", type=float, help="learning rate")
    what.add_argument("--scale", type=float, default=1.0, help="factor on the sides (not streets)")
    how = sub.add_argument_group("how it is computed")
    how.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    how.add_argument("--devices", type=int, default=1, help="processes that share a batch (DDP)")
    how.add_argument("--precision", default="32-true", help="32-true (default), bf16-mixed or "
                     "16-mixed (cuda); the cut is solved in float32")  # fmt: skip
    how.add_argument(
        "--accumulate", type=int, default=1, help="parts of a batch, one after another"
    )
    how.add_argument("--threads", type=int, help="CPU threads")
    how.add_argument("--workers", type=int, default=0, help="processes that load images (0)")
    how.add_argument("--runs", help="folder of the runs (default: SOFTCUT_RUNS, else the cache)")


def _run(a, **options):
    from softcut_lib.train.experiments import run

    names = (
        "data scale profile optimizer lr epochs steps batch test_batch device devices precision "
        "accumulate threads workers runs command"
    )
    return run(a.experiment, **{name: getattr(a, name) for name in names.split()}, **options)


def list_experiments(a):
    from softcut_lib.train.experiments import EXPERIMENTS, choose
    from softcut_lib.train.reproduction import printed_rows

    if a.experiment:
        return _describe(a.experiment, choose("experiment", a.experiment, EXPERIMENTS))
    print(f"{'experiment':20}{'thesis':>7}  {'Base':>7}{'SoftCut':>9}  what")
    for name, experiment in EXPERIMENTS.items():
        rows = printed_rows(name)
        numbers = [rows[m]["miou"][0] if m in rows else None for m in ("base", "softcut-published")]
        base, cut = ("-" if value is None else f"{value:.4f}" for value in numbers)
        number = experiment.number or "-"
        print(f"{name:20}{number:>7}  {base:>7}{cut:>9}  {experiment.title}")
    print("\nBase, SoftCut: mIoU printed in the thesis (SoftCut approximate), on its own data.")
    print("`softcut experiments NAME` lists the models, data and settings of one.")


def _describe(name, experiment):
    from softcut_lib.train.reproduction import printed_rows

    rows = printed_rows(name)
    steps = experiment.steps_per_epoch
    print(f"{name}: {experiment.title}. {experiment.source}")
    print(
        f"  {experiment.optimizer}, lr {experiment.lr:g}, {experiment.epochs} epochs of "
        f"{f'{steps} steps' if steps else 'one pass'}, batch {experiment.batch}, "
        f"{experiment.objective}"
    )
    if experiment.decodes:
        by = f", by {experiment.decode}" if experiment.decode else ""
        print(f"  the networks of {experiment.decodes}{by}; those that are missing are trained")
    if experiment.strengths:
        factors = ", ".join(f"{factor:g}" for factor in experiment.strengths)
        print(f"  its strengths times one of {factors}, chosen by each run's validation images")
    for data, entry in experiment.data.items():
        changed = ", ".join(f"{key} {value}" for key, value in entry.settings.items())
        print(f"  --data {data:12} {entry.about}{f' ({changed})' if changed else ''}")
    for profile, settings in experiment.profiles.items():
        words = ", ".join(f"{key} {value}" for key, value in settings.items())
        print(f"  --profile {profile:9} {words or 'as above'}")
    for model, entry in experiment.models.items():
        printed = "".join(
            f"; thesis {metric} {rows[model][metric][0]:g} ({rows[model][metric][1]:g})"
            for metric in ("miou", "loss", "figures")
            if model in rows
        )
        print(f"  --model {model:20} {entry.about}{printed}")


def train(a):
    record = _run(a, model=a.model, seed=a.seed, resume=a.resume, overwrite=a.overwrite)
    if record is None:
        raise ValueError(f"--model: {a.model} has no conductances that could be decoded")
    print(_sentence(f"{a.model}, seed {a.seed}", record["summary"], record["counts"]["test"]))


def evaluate_run(a):
    import torch

    from softcut_lib import _checks as check
    from softcut_lib.train.evaluation import evaluate, summarize, through_windows
    from softcut_lib.train.experiments import EXPERIMENTS, choose, load_model
    from softcut_lib.train.runs import refuse_unwritable, write_json
    from softcut_lib.train.shipped import trained_model

    if a.threads is not None:
        check.positive_integer("threads", a.threads)
        torch.set_num_threads(a.threads)
    if a.out:
        refuse_unwritable("--out", a.out)
    exported = a.run.suffix == ".safetensors"
    model, config = trained_model(a.run) if exported else load_model(a.run)
    model.decode = a.decode
    experiment = choose("experiment", config["experiment"], EXPERIMENTS)
    data = a.data or config["data"]
    own = ("scale", "count") if data == config["data"] else ("scale",)  # how the run loaded it
    options = {name: config["options"][name] for name in own if name in config["options"]}
    items = choose("data", data, experiment.data).load(a.split, **options)
    windows = None if a.whole else experiment.with_options(data).windows
    test = evaluate(
        through_windows(model, windows), items, experiment.objective, device=a.device,
        metric=experiment.metric, progress=True,
    )  # fmt: skip
    summary = summarize(test)
    print(_sentence(f"{config['model']} on {data} ({a.split})", summary, len(items)))
    if a.out:
        how = {"data": data, "split": a.split, "decode": a.decode, "whole": a.whole}
        write_json(a.out, {"config": config, **how, "summary": summary, "test": test})


def export(a):
    from softcut_lib.train.shipped import export_model

    print(f"{export_model(a.run, a.out)}: load it with softcut_lib.trained_model")


def reproduce(a):
    from softcut_lib.train.decoding import retested
    from softcut_lib.train.experiments import EXPERIMENTS, choose
    from softcut_lib.train.provenance import describe_session
    from softcut_lib.train.results import as_row, results_path, write_results
    from softcut_lib.train.runs import TrainingStopped, refuse_unwritable

    experiment = choose("experiment", a.experiment, EXPERIMENTS)
    _refuse_tests(a, experiment)
    path = a.out or results_path(
        a.experiment, a.data, profile=a.profile, scale=a.scale, decode=a.decode,
        tested="whole" if a.whole else None,
    )  # fmt: skip
    refuse_unwritable("--out", path)
    found = stopped = 0
    for model in _rows(a, experiment):
        for seed in dict.fromkeys(a.seeds):
            try:
                record = _run(a, model=model, seed=seed, resume=True, train=not a.collect)
            except TrainingStopped as error:  # the other rows are still wanted
                print(f"softcut: {model}, seed {seed}: {error}", file=sys.stderr)
                stopped += 1
                continue
            if record is None:
                print(f"{model}, seed {seed}: no finished run", file=sys.stderr)
                continue
            if (a.decode or a.whole) and not experiment.decodes:
                settings = experiment.with_options(a.data, a.profile, test_batch=a.test_batch)
                record = retested(record, settings, decode=a.decode, whole=a.whole, runs=a.runs,
                                  device=a.device, progress=True)  # fmt: skip
                if record is None:
                    print(f"{model}: no conductances to cut", file=sys.stderr)
                    continue
            found += 1
            session = describe_session(a.command)
            written = write_results(path, [as_row(record)], experiment=(a.experiment, experiment),
                                    data=a.data, session=session)  # fmt: skip
            print(_sentence(f"{model}, seed {seed}", record["summary"], record["counts"]["test"]))
    for name, choice in written.get("conclusion", {}).items() if found else ():
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in choice.items())}")
    print(f"{found} rows written to {path}" if found else f"no row found, {path} stays as it is")
    return 2 if stopped else 0 if found else 1


def _refuse_tests(a, experiment):
    """Ways of testing that would change the file's name and nothing in it."""
    if a.whole and experiment.with_options(a.data, a.profile).windows is None:
        raise ValueError(
            f"--whole: {a.experiment} takes no windows, its images are tested whole; leave it out"
        )
    if a.decode and experiment.decodes:
        raise ValueError(
            f"--decode: {a.experiment} has a test of its own; leave it out, or name "
            f"{experiment.decodes}, whose networks it tests"
        )


def _rows(a, experiment):
    """The models asked for, once each; those that the paper prints if none was named."""
    everything = list(experiment.models)
    if a.models and "all" in a.models:
        return everything
    printed = [name for name, model in experiment.models.items() if model.printed]
    return list(dict.fromkeys(a.models or printed or everything))


def _sentence(name, summary, count) -> str:
    parts = [f"{k} {summary[k]:.4f} ({summary[f'{k}_bracket']:.4f})" for k in ("iou", "loss")]
    figures = f"figures {summary['figures']:.2f} ({summary['figures_bracket']:.2f})"
    return f"{name}: {', '.join(parts)}, {figures} over {count} images"
