"""`softcut segment`: a photograph and a scribbled image in, a mask out."""

from __future__ import annotations

import io
import time
from pathlib import Path

SEEDS = """examples:
  softcut segment photo.jpg --seeds scribbles.png
  softcut segment photo.jpg --seeds scribbles.png --method min-cut -o mask.png

The scribbles are an image of the photograph's size: red (255, 0, 0) marks the
foreground, blue (0, 0, 255) the background, anything else is free (so one may draw on a copy of the
photograph; save it as PNG, since JPEG blurs the colors). Or a gray label image: 1 foreground, 0
background, 255 free."""


def segment(a):
    import numpy as np
    import torch
    from PIL import Image

    from softcut_lib.cuts.interactive import interactive_cut
    from softcut_lib.train.runs import write_atomically

    out = a.out or a.image.with_name(f"{a.image.stem}_mask.png")
    _refuse_output(out, a)
    image = _read_image(a.image)
    seeds = read_seeds(a.seeds)
    if seeds.shape != image.shape[:2]:
        raise ValueError(
            f"--seeds: {a.seeds} is {seeds.shape[1]} x {seeds.shape[0]} pixels, but {a.image} is "
            f"{image.shape[1]} x {image.shape[0]}; both must have the same size"
        )
    started = time.perf_counter()
    tensor = torch.from_numpy(image.astype(np.float64) / 255).movedim(-1, 0)[None]
    mask = interactive_cut(
        tensor.contiguous(), torch.from_numpy(seeds)[None], method=a.method, sigma=a.sigma,
        strength=a.strength, color=a.color,
    )[0].numpy()  # fmt: skip
    content = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(content, format="PNG")
    write_atomically(out, content.getvalue())
    print(
        f"{out}: {mask.mean():.1%} of the pixels are foreground "
        f"({a.method}, {time.perf_counter() - started:.1f} s)"
    )
    if a.ask:
        print(_next_click(tensor.contiguous(), torch.from_numpy(seeds)[None], a.sigma))


def _next_click(image, seeds, sigma):
    """Where one more scribble is worth most to the random walker without colors."""
    from softcut_lib.cuts.questions import best_question
    from softcut_lib.grid.weights import image_weights

    weights = [w.clamp_min(1e-6) for w in image_weights(image, sigma=sigma)]
    asked = best_question(seeds, weights)
    y, x = asked.pixel[0].tolist()
    return (
        f"to mark next: column {x}, row {y}; about {asked.followers[0, y, x]:.0f} pixels follow it"
    )


def _refuse_output(out: Path, a):
    """Before the work: a mask is a PNG, in a folder that is there, and no file it is made from."""
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out: the mask is written as PNG, so its name ends in .png, got {out}")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"--out: there is no folder {out.parent}; make it first")
    for name, path in (("the image", a.image), ("--seeds", a.seeds)):
        if out.absolute() == path.absolute():
            raise ValueError(f"--out: {out} is {name} itself and would be lost; name another file")


def read_seeds(path: Path):
    """Scribbles as int64 (h, w): 0 background, 1 foreground, 255 free; see `SEEDS`."""
    import numpy as np

    picture = _open_image(path)
    if picture.mode in ("L", "1", "I", "I;16"):
        labels = np.array(picture.convert("L") if picture.mode == "1" else picture).astype(np.int64)
        wrong = set(np.unique(labels).tolist()) - {0, 1, 255}
        if wrong:
            raise ValueError(
                f"--seeds: {path} is a gray image, so its values must be 0 (background), "
                f"1 (foreground) and 255 (free); it also has {sorted(wrong)[:5]}"
            )
        return labels
    red, green, blue, alpha = np.moveaxis(np.array(picture.convert("RGBA")).astype(int), -1, 0)
    seeds = np.full(red.shape, 255, dtype=np.int64)
    seeds[(red > 200) & (green < 60) & (blue < 60) & (alpha > 127)] = 1
    seeds[(blue > 200) & (green < 60) & (red < 60) & (alpha > 127)] = 0
    for label, name in ((1, "foreground (red)"), (0, "background (blue)")):
        if not (seeds == label).any():
            raise ValueError(f"--seeds: {path} has no {name} pixel; see `softcut segment -h`")
    return seeds


def _read_image(path: Path):
    import numpy as np

    return np.array(_open_image(path).convert("RGB"))


def _open_image(path: Path):
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(path)
        picture.load()
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such image") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{path}: this file cannot be read as an image ({error})") from None
    return picture
