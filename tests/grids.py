"""Random systems on many kinds of grid, for all tests."""

import pytest
import torch

import softcut_lib as sc

EIGHT = sc.axis_offsets(2) + sc.diagonal_offsets(2)

# name: (grid, offsets): every dimension, odd sizes, width 1, diagonals, long and negative offsets
GRIDS = {
    "1d": ((7,), None),
    "2d": ((4, 5), None),
    "2d-row": ((1, 6), None),
    "2d-column": ((6, 1), None),
    "2d-pixel": ((1, 1), None),
    "2d-diagonals": ((4, 3), EIGHT),
    "2d-long": ((5, 4), ((1, 0), (0, 1), (2, -1), (0, 3))),
    "2d-backwards": ((3, 4), ((-1, 0), (0, -1), (1, -1))),
    "2d-beyond": ((2, 3), ((1, 0), (0, 1), (5, 0))),
    "3d": ((3, 2, 4), None),
    "3d-26": ((2, 3, 2), sc.axis_offsets(3) + sc.diagonal_offsets(3)),
    "4d": ((2, 2, 1, 3), None),
}
every_grid = pytest.mark.parametrize("kind", GRIDS)


def random(*shape, seed=0, dtype=torch.float64):
    """Standard normal numbers that depend on shape and seed only."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def arguments(
    kind="2d", *, batch=2, labels=2, per_label=False, dtype=torch.float64, seed=0, contrast=1.0
):
    """(scores, weights, options of soft_cut) on one kind of grid; ground is random too."""
    grid, offsets = GRIDS[kind]
    lead = (batch, labels) if per_label else (batch,)
    used = sc.axis_offsets(len(grid)) if offsets is None else offsets
    weights = [
        torch.exp(contrast * random(*lead, *sc.edge_shape(grid, o), seed=seed + k)).to(dtype)
        for k, o in enumerate(used)
    ]
    ground = (0.5 + random(*lead, *grid, seed=seed + 50).abs()).to(dtype)
    scores = random(batch, labels, *grid, seed=seed + 60, dtype=dtype)
    return scores, weights, {"offsets": offsets, "ground": ground}


def system_of(scores, weights, options):
    """The `GridSystem` of these arguments."""
    return sc.GridSystem(weights, grid=scores.shape[2:], **options)


def dense(system, sample=0, label=0):
    """One matrix as a float64 tensor."""
    return torch.from_numpy(system.to_scipy(sample, label).toarray()).double()
