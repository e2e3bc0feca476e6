"""An experiment from scribbles of a few small horses and steps."""

from dataclasses import replace

import softcut_lib as sc
from softcut_lib.train.experiments import EXPERIMENTS, Data
from softcut_lib.train.scribbled import Scribbled
from softcut_lib.train.scribbles import FromScribbles


def from_scribbles(*, images, steps_per_epoch, first=4, epochs=4):
    """The rows of "scribbles" on data "tiny", the second part from step ``first`` on."""

    def load(split, scale=1.0):
        horses = sc.SyntheticHorses(split, count=images, size=(32, 40))
        return Scribbled(horses, width=1.0) if split == "train" else horses

    return replace(
        EXPERIMENTS["scribbles"],
        data={"tiny": Data("small horses", load)},
        objective=FromScribbles(first),
        batch=2,
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
    )
