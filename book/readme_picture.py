"""Draw the picture of the README: `python book/readme_picture.py` writes book/assets/readme.png."""

import io
from pathlib import Path

import torch
from PIL import Image

import softcut_lib as sc
from softcut_lib import show

TARGET = Path(__file__).parent / "assets" / "readme.png"


def draw():
    """A generated horse, scores drowned in noise, conductances of the image, and the soft cut."""
    item = sc.SyntheticHorses("test")[2]
    image, target = item["image"][None], item["target"][None, None].float()
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    scores = 1.2 * (2 * target - 1) + 2.5 * noise
    weights = sc.image_weights(image, sigma=0.08, scale=20.0)
    output = sc.soft_cut(scores, weights)
    return show.images(
        [image[0], scores, weights, show.overlay_mask(image[0], output[0, 0] > 0)],
        titles=["image", "noisy scores", "conductances", "soft cut"],
        kinds=["image", "scores", "conductance", "image"],
        columns=4,
        alt="A drawn horse, the same horse barely visible in noisy red and blue scores, a map of "
        "conductances that is dark along its contour, and the clean mask that the soft cut finds.",
    )


if __name__ == "__main__":
    image = Image.open(io.BytesIO(draw().data)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1e3:.0f} kB, {image.size[0]} x {image.size[1]}")
