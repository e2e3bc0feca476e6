"""Fast Gaussian filtering on the permutohedral lattice: W = c P B P', in O(N d) (chapter 14).

Splat the pixels' values onto the lattice points around their features (P'), blur along the d + 1
axes of the lattice (B), slice the result at the features (P). Blurs along different axes do not
commute where a neighbour is missing, so B decides what W is:

    plain:  B_d ... B_0                              as usually implemented; W is not symmetric
    sym:    (B_d ... B_0 + B_0 ... B_d) / 2          symmetric
    psd:    B_0 ... B_d B_d ... B_0, half as wide    symmetric positive semidefinite: P M M' P'
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.affinity.dense import kernel
from softcut_lib.affinity.interface import Affinity
from softcut_lib.affinity.permutohedral import gaussian_scale
from softcut_lib.affinity.tables import build_tables

_SPAN = 1e4
"""Features farther apart than this many sigmas leave float32 no digits within a simplex."""


class LatticeAffinity(Affinity):
    """The Gaussian affinity of an image by splatting, blurring and slicing on a lattice.

    W = c P B P',  P the barycentric weights, B the blurs of `mode`, c the Gaussian's integral.

    Built once, an affinity serves the degree, all labels and the backward pass; W and its
    transpose are exact adjoints in every mode. The factor c is right where pixels are dense among
    the lattice points; in an image they are not, W comes out too small by up to a third, and
    `calibrate` mends that.

    Args:
        image: (B, C, *grid) in 0..255, floating or uint8; any C, any number of grid axes.
        sigma_color, sigma_space, check_range: as in `DenseAffinity`.
        mode: "sym", symmetric, the default and the most accurate; "plain", one order of blurs,
            half the time of "sym", not symmetric; "psd", positive semidefinite as well, for
            use inside solvers.

    Attributes:
        shape, degree, symmetric, psd: as in `DenseAffinity`.
        vertices: how many lattice points the batch touches.

    Raises:
        TypeError, ValueError: as `DenseAffinity`, if mode is unknown, or if sigmas are so small
            that features lie more than 10,000 sigmas apart.

    Source: Adams, Baek and Davis (2010); the symmetric forms are this book's.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.linspace(0, 255, 3000).reshape(1, 1, 50, 60)
        >>> left = (image < 100).float()
        >>> W = sc.LatticeAffinity(image, sigma_color=15, sigma_space=100)
        >>> exact = sc.DenseAffinity(image, sigma_color=15, sigma_space=100)
        >>> error = W.matmul(left) / W.degree - exact.matmul(left) / exact.degree
        >>> bool(error.abs().mean() < 0.02)
        True
    """

    def _prepare(self, *, mode="sym"):
        check.one_of("mode", mode, ("sym", "plain", "psd"))
        self.mode = mode
        self.symmetric, self.psd = mode != "plain", mode == "psd"
        span = float((self.features.amax(1) - self.features.amin(1)).max())
        if span > _SPAN:
            raise ValueError(
                f"the features must lie within {_SPAN:g} sigmas of each other, got {span:g}; "
                "sigma_color or sigma_space is too small for the lattice"
            )
        # W depends on differences only, and small numbers have more digits
        centred = self.features - self.features.mean(1, keepdim=True)
        self._tables = build_tables(centred)
        self._scale = self.features.new_full((len(centred), 1, 1), gaussian_scale(self.dim))

    @property
    def dim(self):
        """The number of features, d."""
        return self.features.shape[2]

    @property
    def vertices(self):
        """How many lattice points the images of the batch touch."""
        return self._tables.left.shape[1] - 1

    def calibrate(self, *, rows=64, generator=None):
        """Scale each image's W so that the degrees of some pixels are right on average.

        c <- c * sum of exact d_p / sum of lattice d_p over the chosen p, exact rows of the kernel
        being summed for them. Of use to losses that are not scale-free; normalized cuts are.

        Args:
            rows: how many pixels are drawn, at least 1; N exact kernel values for each.
            generator: draws them; None draws the same ones at every call.

        Returns:
            The affinity itself.

        Raises:
            ValueError: if rows is no positive integer.
        """
        check.positive_integer("rows", rows)
        if generator is None:
            generator = torch.Generator().manual_seed(0)
        points = self.features
        order = torch.randperm(points.shape[1], generator=generator, device=generator.device)
        chosen = order[:rows].to(points.device)
        exact = torch.stack([kernel(f[chosen], f).sum() for f in points])
        found = self.degree.flatten(1)[:, chosen].sum(1)
        self._scale = self._scale * (exact / found)[:, None, None]
        self._degree = None
        return self

    def _multiply(self, values, transpose):
        batch, count, labels = values.shape
        t, forth = self._tables, range(self.dim + 1)
        back = range(self.dim, -1, -1)
        table = t.splat(values.reshape(-1, labels))
        if self.mode == "psd":
            # two blurs with 1/8 spread as far as one with 1/4
            table = t.blur(t.blur(table, forth, 1 / 8), back, 1 / 8)
        elif self.mode == "sym":
            table = (t.blur(table, forth, 1 / 4) + t.blur(table, back, 1 / 4)) / 2
        else:
            table = t.blur(table, back if transpose else forth, 1 / 4)
        product = t.slice(table).reshape(batch, count, labels)
        return product * self._scale.to(product.dtype)
