"""Small trained networks that come with the library, so that a page can show one at once.

A file holds plain numbers only (safetensors), and in its header the run that made them: command,
commit, date, seed, options, test figures. Chapters 10 and 11.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from softcut_lib.train.experiments import build_model, load_model
from softcut_lib.train.runs import read_json, write_atomically

FOLDER = Path(__file__).with_name("models")
_KEPT = ("experiment", "model", "data", "seed", "options", "best_epoch", "summary", "machine")


def export_model(run_folder, path) -> Path:
    """Write a finished run's best network and where it comes from as one safetensors file.

    Args:
        run_folder: a run's folder, with its `best.ckpt` and `result.json`.
        path: file to write; its ending must be ``.safetensors``.

    Returns:
        The path.

    Raises:
        ValueError: an unfinished run, or another ending.
    """
    from safetensors.torch import save

    path, run_folder = Path(path), Path(run_folder)
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors, got {path.name!r}")
    network, _ = load_model(run_folder)
    record = read_json(run_folder / "result.json")
    origin = {name: record[name] for name in _KEPT} | {"sessions": record["sessions"]}
    content = save(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()},
        metadata={"origin": json.dumps(origin)},
    )
    write_atomically(path, content)
    return path


def trained_model(name: str | os.PathLike):
    """A trained network and its origin.

    Args:
        name: one of `trained_models()`, or a file that `export_model` wrote.

    Returns:
        (`CutNet` in evaluation mode, dict with experiment, model, data, seed, options, best_epoch,
        summary of the test, machine, sessions).

    Raises:
        ValueError: an unknown name, or a file that is not of this form.

    Example:
        >>> network, origin = trained_model("horses-softcut-synthetic")
        >>> origin["data"], sum(p.numel() for p in network.parameters())
        ('synthetic', 22339)
    """
    from safetensors import SafetensorError, safe_open

    path = Path(name)
    if path.suffix != ".safetensors":
        path = FOLDER / f"{name}.safetensors"
    if not path.is_file() and path == Path(name):
        raise ValueError(f"{path}: there is no such file")
    if not path.is_file():
        raise ValueError(
            f"name must be one of {', '.join(trained_models())} or a .safetensors file, got "
            f"{str(name)!r}"
        )
    try:
        with safe_open(path, framework="pt") as file:
            origin = json.loads((file.metadata() or {})["origin"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        network = build_model(origin["experiment"], origin["model"], seed=origin["seed"])
        network.load_state_dict(state)
    except (SafetensorError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path.name} is no network that export_model wrote with this version ({error}); "
            "export it again"
        ) from None
    return network.eval(), origin


def trained_models() -> list[str]:
    """Names of the networks that come with the library.

    >>> "sign-small-base" in trained_models()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))
