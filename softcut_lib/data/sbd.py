"""The augmented training set of PASCAL VOC 2012, from the masks of SBD (chapter 15).

train_aug = (VOC train + SBD train + SBD val) without VOC val,        10,582 images.
"""

from PIL import Image
from scipy.io import loadmat

from .folders import find_folder
from .pictures import read_picture
from .voc import find_voc, listed_names, to_labels


def write_train_aug(sbd, root=None):
    """Make the split train_aug from the SBD release: masks as PNG, and the list.

    names = (VOC train + SBD train + SBD val) without VOC val, 10,582 on the whole data; where VOC
    has a mask of its own, that one is taken.

    Args:
        sbd: the folder ``benchmark_RELEASE/dataset`` of SBD, with ``cls/<name>.mat``, ``train.txt``
            and ``val.txt``, or a folder that holds it.
        root: VOC's folder, as for `PascalVOC`.

    Returns:
        int, the number of names.

    Raises:
        FileNotFoundError, ValueError: missing folders or files, a .mat file of another form.

    Source: Hariharan et al. 2011, the read-me file of SBD: ``GTcls.Segmentation`` holds the labels.
    """
    root = find_voc(root)
    sbd = find_folder(sbd, "SBD", ("cls",), ("dataset", "benchmark_RELEASE/dataset"), _SBD)
    own = listed_names(root, "train")
    extra = []
    for part in ("train", "val"):
        if not (sbd / f"{part}.txt").is_file():
            raise FileNotFoundError(f"no {part}.txt in {str(sbd)!r}. {_SBD}")
        extra += (sbd / f"{part}.txt").read_text().split()
    names = sorted((set(own) | set(extra)) - set(listed_names(root, "val")))
    folder = root / "SegmentationClassAug"
    folder.mkdir(exist_ok=True)
    for name in names:
        path = root / "SegmentationClass" / f"{name}.png"
        if path.is_file():
            labels = to_labels(read_picture(path, None, "Unpack VOC again"), path)
        else:
            path = sbd / "cls" / f"{name}.mat"
            try:
                labels = to_labels(loadmat(path)["GTcls"][0, 0]["Segmentation"], path)
            except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
                raise ValueError(f"cannot read {str(path)!r} ({error}). {_SBD}") from error
        temporary = folder / f".{name}.png"
        Image.fromarray(labels).save(temporary, format="PNG")
        temporary.replace(folder / f"{name}.png")
    listing = root / "ImageSets" / "Segmentation" / "train_aug.txt"
    temporary = listing.with_name(".train_aug.txt")
    temporary.write_text("\n".join(names) + "\n")
    temporary.replace(listing)
    return len(names)


_SBD = "Get benchmark.tgz of SBD, the Semantic Boundaries Dataset, from its authors' page"
