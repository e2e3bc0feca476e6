"""The experiment on MSRA10K: networks that only cluster, for whoever has the data (chapter 13).

    train: crops of 289 pixels of 8,000 photographs; 10 passes with masks, then a clustering loss
    test:  1,500 photographs, whole; energies beside the algorithms' on the first 100 of them and
           of the 500 that chose the epoch (the splits are in random order)

The network is DeepLab-largeFOV in form, that is VGG-16 with dilations; the normalized cut's kernel
is the paper's (15, 40), K-means takes RGB alone. What differs: the saliency network is trained here
from nothing on the same photographs, with Adam at a constant rate, and no setting was tuned. A GPU
is needed for the full one.
"""

from __future__ import annotations

from functools import partial

from softcut_lib.train.clustering import held_out_energies
from softcut_lib.train.forms import Data, Experiment
from softcut_lib.train.scribbles import FromScribbles
from softcut_lib.train.table_scribbles import CLUSTERING, rows
from softcut_lib.train.table_voc import LARGEFOV, TRIAL

SIDE = 289
MEASURED = 100
PLAIN = {"atrous-plain": (*LARGEFOV["atrous-plain"][:2], ("masks", *CLUSTERING))}


def _msra(split, scale=1.0, count=None):
    """Crops of the training photographs, which nobody scribbled on, and the others whole."""
    from torch.utils.data import Subset

    from softcut_lib import MSRA10K
    from softcut_lib.train.scribbled import Crops

    items = MSRA10K(split=split, scale=scale)
    if count is not None:
        items = Subset(items, range(len(items))[:count])
    return Crops(items, side=max(16, round(scale * SIDE))) if split == "train" else items


MSRA = {
    "clustering-msra": Experiment(
        title="MSRA10K: networks that only cluster, beside the algorithms",
        source="Tang et al. 2018, section 5.1 and figure 5",
        data={"msra": Data("MSRA10K, 8,000/500/1,500 photographs", _msra)},
        models=rows(1, PLAIN),
        objective=FromScribbles(8_000),
        lr=1e-4,
        epochs=20,
        steps_per_epoch=800,
        batch=10,
        shuffle=True,
        measure=partial(held_out_energies, count=MEASURED),
        profiles={"full": {}, "fast": TRIAL},
    )
}
