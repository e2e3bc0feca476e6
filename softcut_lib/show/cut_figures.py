"""Several networks on one image, before and after their cuts (chapter 10)."""

import torch

from softcut_lib.show.panels import WIDTH, draw_panel, overlay_mask, panel
from softcut_lib.show.style import blank, picture, styled

__all__ = ["before_after"]

COLUMNS = {
    "scores $s$": "scores",
    "conductances": None,
    "output $x$": "scores",
    "decision": "image",
}
LABEL, GAP, HEAD, FOOT = 0.5, 0.1, 0.3, 0.4  # inches: row names, between, titles, color bars


@styled
def before_after(networks, image, target, *, alt=None):
    """One image before and after the cuts of several networks: a row of four maps for each.

    Args:
        networks: dict name -> `CutNet`; one without a cut has scores and a decision only. Write a
            long name in two lines.
        image: float (1, 3, h, w) in [0, 1].
        target: (1, h, w) or (h, w), 1 or true on the object.
        alt: the alternative text; made from the networks if None.

    Returns:
        A `Picture`: above, the image and its true mask; then for every network its scores,
        conductances (mean at each pixel), the cut's output and the decision, outlined. The colors
        of scores and outputs end where two pixels in a hundred are beyond.

    Raises:
        ValueError: a target of another size.

    Source: our counterpart of thesis, Fig. 4 and the last figure of its appendix.

    Example:
        >>> import torch, softcut_lib as sc
        >>> net = sc.CutNet(sc.BasicNet())
        >>> before_after({"base": net}, torch.zeros(1, 3, 8, 9), torch.eye(8, 9))
        [figure: An image and its true mask; below, a row for each network ... truth: base 0...]
    """
    truth = torch.as_tensor(target).squeeze() > 0
    if truth.shape != image.shape[2:]:
        raise ValueError(
            f"target must have the image's size {tuple(image.shape[2:])}, got {tuple(target.shape)}"
        )
    rows, said = [[image, None, None, overlay_mask(image, truth)]], []
    for name, net in networks.items():
        with torch.no_grad():
            scores, weights, output, prob = net(image)
        cut, decision = net.cut is not None, prob[0, 0] > 0.5
        rows.append([scores, weights if cut else None, output if cut else None])
        rows[-1].append(overlay_mask(image, decision))
        shares = f"{_overlap(decision, truth):.2f}"
        if cut:
            shares = f"{_overlap(scores[0, 0] > 0, truth):.2f} by its scores, {shares} by its cut"
        said.append(f"{' '.join(name.split())} {shares}")
    fig = _grid(["", *networks], rows, image.shape[2] / image.shape[3])
    words = (
        "An image and its true mask; below, a row for each network with scores, conductances, "
        f"output and decision. Intersection over union with the truth: {'; '.join(said)}."
    )
    return picture(fig, alt or words)


def _grid(names, rows, aspect):
    """Rows of maps with a name each, placed by hand; the first row has no color bars."""
    wide = (WIDTH - LABEL) / len(COLUMNS) - GAP
    high = wide * aspect
    top = height = 2 * HEAD + len(rows) * (high + GAP) + (len(rows) - 1) * FOOT
    fig = blank(WIDTH, height)
    for number, (name, maps) in enumerate(zip(names, rows, strict=True)):
        titles = list(COLUMNS) if number else ["image", "", "", "truth"]
        top -= high + GAP + HEAD * (number < 2)
        for column, values in enumerate(maps):
            if values is None:
                continue
            left = LABEL + column * (wide + GAP)
            ax = fig.add_axes([left / WIDTH, top / height, wide / WIDTH, high / height])
            bar = [(left + 0.04 * wide) / WIDTH, (top - 0.13) / height]
            bar += [0.92 * wide / WIDTH, 0.07 / height]
            values, kind = panel(values, [*COLUMNS.values()][column] if number else "image")
            draw_panel(ax, bar, values, kind, _limits(values) if kind == "scores" else None)
            if number < 2:
                ax.set_title(titles[column], pad=4)
        place = (0.4 * LABEL / WIDTH, (top + high / 2) / height)
        fig.text(*place, name, rotation=90, ha="center", va="center", fontsize=11)
        top -= FOOT * (number > 0)
    return fig


def _limits(values):
    reach = float(torch.as_tensor(values).abs().quantile(0.98))
    return -reach, reach


def _overlap(mask, truth):
    return float((mask & truth).sum() / (mask | truth).sum().clamp(min=1))
