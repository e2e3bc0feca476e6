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
    the lattice points; in an image they are not, W usually comes out too small, and `calibrate`
    mends that.

    Args:
        image: (B, C, *grid) in 0..255, floating or uint8; any C, any number of grid axes.
        sigma_color, sigma_space, check_range: as in `DenseAffinity`.
        kernel: "torch", plain tensor operations on any device; "fused", compiled by numba, on the
            CPU, where lattice coordinates pack into 62 bits (usually up to six features); "auto"
            takes fused where it applies. They agree to rounding.
        mode: "sym", symmetric, the default and the most accurate; "plain", one order of blurs, as
            usually implemented, not symmetric; "psd", positive semidefinite as well, for use
            inside solvers.

    Attributes:
        shape, degree, symmetric, psd: as in `DenseAffinity`.
        vertices: how many lattice points the batch touches.
        kernel: the one in use, "torch" or "fused".

    Raises:
        TypeError, ValueError: as `DenseAffinity`, if mode or kernel is unknown, if the fused
            kernel is demanded where there is none, or if sigmas are so small that features lie
            more than 10,000 sigmas apart.

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

    def _prepare(self, *, mode="sym", kernel="auto"):
        check.one_of("mode", mode, ("sym", "plain", "psd"))
        check.one_of("kernel", kernel, ("auto", "torch", "fused"))
        self.mode = mode
        self.symmetric, self.psd = mode != "plain", mode == "psd"
        # one row per feature, which is how the lattice is computed
        points = self.features.mT.contiguous()
        low, high = points.aminmax(dim=2, keepdim=True)
        span = float((high - low).max())
        if span > _SPAN:
            raise ValueError(
                f"the features must lie within {_SPAN:g} sigmas of each other, got {span:g}; "
                "sigma_color or sigma_space is too small for the lattice"
            )
        # W depends on differences only, and small numbers have more digits
        points = points - (low + high) / 2
        self._scale = points.new_full((len(points), 1, 1), gaussian_scale(self.dim))
        self._lattice = None if kernel == "torch" else _fused(points, (high - low) / 2, kernel)
        self.kernel = "torch" if self._lattice is None else "fused"
        if self._lattice is None:
            self._lattice = build_tables(points)

    @property
    def dim(self):
        """The number of features, d."""
        return self.features.shape[2]

    @property
    def vertices(self):
        """How many lattice points the images of the batch touch."""
        lattices = [self._lattice] if self.kernel == "torch" else self._lattice
        return sum(lattice.vertices for lattice in lattices)

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

        Example:
            >>> import torch, softcut_lib as sc
            >>> alone = sc.LatticeAffinity.from_features(torch.tensor([[[0.0], [50.0]]]))
            >>> alone.calibrate().degree
            tensor([[[1.0000, 1.0000]]])
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

    def _multiply(self, maps, transpose):
        forth = list(range(self.dim + 1))
        back = forth[::-1]
        # two blurs with 1/8 spread as far as one with 1/4
        a = 1 / 8 if self.mode == "psd" else 1 / 4
        orders = {"sym": [forth, back], "psd": [forth + back], "plain": [forth]}[self.mode]
        if transpose:
            orders = [axes[::-1] for axes in orders]
        if self.kernel == "torch":
            return self._lattice.multiply(maps, orders, a, self._scale)
        product = torch.empty_like(maps, memory_format=torch.contiguous_format)
        images = maps.contiguous().numpy(), product.numpy(), self._scale.flatten().tolist()
        for lattice, given, out, scale in zip(self._lattice, *images, strict=True):
            lattice.multiply(given, orders, a, scale, out)
        return product


def _fused(points, reach, wanted):
    """Each image's `Hashed`, or None where they do not apply and are not insisted on."""
    lattices = None
    if points.device.type == "cpu":
        # numba is loaded here, by whoever uses it
        from softcut_lib.affinity.hashed import build_hashed

        lattices = [
            build_hashed(p, r) for p, r in zip(points.numpy(), reach[..., 0].numpy(), strict=True)
        ]
        lattices = None if any(one is None for one in lattices) else lattices
    if lattices is None and wanted == "fused":
        raise ValueError(
            'kernel="fused" runs on the CPU and packs lattice coordinates into 62 bits, got '
            f'{points.shape[1]} features on {points.device}; kernel="torch" takes any number, '
            'anywhere, and "auto" chooses'
        )
    return lattices
