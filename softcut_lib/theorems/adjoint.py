"""Identities of the adjoint gradient, held in float64 on small random grids (chapter 4).

For x = A^-1 p, a loss L(x) with g = dL/dx, and the adjoint lambda = A^-1 g:

    dL/dp = lambda,   dL/dw_pq = -(lambda_q - lambda_p)(x_q - x_p),   dL/dground = -lambda x.

A `cut` is called as ``cut(scores, weights, offsets=..., ground=...)`` and returns x; the two
options are passed only where an identity asks for them, so a reader's ``cut(scores, weights)`` can
be tested by itself. Cuts must solve tightly (a relative tolerance of 1e-11 or less).
"""

import torch

from softcut_lib.grid.edges import axis_offsets, edge_shape, jump
from softcut_lib.grid.system import GridSystem


def gradient_is_finite_differences(
    cut, *, generator, grid=(3, 4), labels=2, offsets=None, ground=False, per_label=False
):
    """Every partial derivative equals a central difference (L(t + e) - L(t - e)) / 2e.

    Covers dL/dscores, dL/dweights and, where asked, dL/dground, for L = <g, x> with a random g.
    """
    case = _Case(generator, grid, labels, offsets, ground, per_label)
    for name, arrived in case.gradients(cut).items():
        _same(name, arrived, case.differences(cut, name), "the finite difference", 1e-6)


def gradient_is_the_formula(
    cut, *, generator, grid=(3, 4), labels=2, offsets=None, ground=False, per_label=False
):
    """Autograd's gradients are lambda, -jump(lambda) jump(x) and -lambda x, from dense solves."""
    case = _Case(generator, grid, labels, offsets, ground, per_label)
    system, x, adjoint = case.solved()
    expected = {"scores": adjoint}
    for k, offset in enumerate(system.offsets):
        by_label = -jump(adjoint, offset) * jump(x, offset)
        expected[f"weights[{k}]"] = by_label if per_label else by_label.sum(1)
    if ground:
        by_label = -adjoint * x
        expected["ground"] = by_label if per_label else by_label.sum(1)
    for name, arrived in case.gradients(cut).items():
        _same(name, arrived, expected[name], "the adjoint formula", 1e-8)


def edge_formula(edge_gradient, *, generator, offset=(1, 0), grid=(4, 5), labels=3):
    """edge_gradient(adjoint, x, offset) is -jump(adjoint) jump(x), summed over labels.

    adjoint and x are (B, L, *grid); the answer has the shape (B, *edge_shape) of shared weights.
    """
    draw = lambda: torch.randn(2, labels, *grid, generator=generator, dtype=torch.float64)  # noqa: E731
    adjoint, x = draw(), draw()
    expected = -(jump(adjoint, offset) * jump(x, offset)).sum(1)
    _same("weights", edge_gradient(adjoint, x, offset), expected, "the edge formula", 1e-12)


def ground_formula(ground_gradient, *, generator, grid=(4, 5), labels=3):
    """ground_gradient(adjoint, x) is -adjoint x, summed over labels: the edge to a node at 0."""
    draw = lambda: torch.randn(2, labels, *grid, generator=generator, dtype=torch.float64)  # noqa: E731
    adjoint, x = draw(), draw()
    expected = -(adjoint * x).sum(1)
    _same("ground", ground_gradient(adjoint, x), expected, "the ground formula", 1e-12)


def solve_is_self_adjoint(solver, *, generator, grid=(4, 5), labels=2):
    """<A^-1 a, b> = <a, A^-1 b>: the backward system is the forward system."""
    case = _Case(generator, grid, labels, None, True, False)
    a, b = case.inputs["scores"], case.upstream
    answers = [solver(case.system(), rhs) for rhs in (a, b)]
    one, other = (x[0] if isinstance(x, tuple) else x for x in answers)
    left, right = float((one * b).sum()), float((a * other).sum())
    scale = float(one.norm() * b.norm())
    assert abs(left - right) <= 1e-8 * scale, (
        f"<A^-1 a, b> = {left:.10g} and <a, A^-1 b> = {right:.10g} must agree, A being symmetric; "
        "does each edge enter the equations of both of its pixels, and is the solve tight?"
    )


def labels_add_up(cut, *, generator, grid=(3, 4), labels=3):
    """The gradient of shared weights is the sum of what each label alone would give."""
    case = _Case(generator, grid, labels, None, False, False)
    scores, upstream = case.inputs["scores"], case.upstream
    one_by_one = [
        case.gradients(cut, case.inputs | {"scores": scores[:, [l]]}, upstream[:, [l]])
        for l in range(labels)
    ]
    for name, arrived in case.gradients(cut).items():
        if name != "scores":
            alone = sum(gradients[name] for gradients in one_by_one)
            _same(name, arrived, alone, "the sum over labels", 1e-8)


def hessian_is_symmetric(cut, *, generator, grid=(3, 4), labels=1, **options):
    """u'H v = v'H u for the Hessian H of L = 1/2 <x, x>, and H v is a difference of gradients."""
    options = {"offsets": None, "ground": False, "per_label": False} | options
    case = _Case(generator, grid, labels, **options)
    u, v = ({n: case.like(t) for n, t in case.inputs.items()} for _ in range(2))
    inner = lambda a, b: float(sum((a[n] * b[n]).sum() for n in a))  # noqa: E731
    hu, hv = case.hessian_times(cut, u), case.hessian_times(cut, v)
    left, right = inner(u, hv), inner(v, hu)
    assert abs(left - right) <= 1e-7 * (abs(left) + abs(right) + 1), (
        f"u'Hv = {left:.8g} and v'Hu = {right:.8g} must agree; does the backward pass compute with "
        "functions that autograd can differentiate, and does it keep x and the weights attached?"
    )
    step = 1e-5
    ahead, behind = (case.half_square(cut, v, sign * step) for sign in (1, -1))
    for name in v:
        _same(f"H v, {name}", hv[name], (ahead[name] - behind[name]) / (2 * step),
              "a difference of gradients", 1e-5)  # fmt: skip


class _Case:
    """A random small problem: its inputs, its loss, and both ways to differentiate it."""

    def __init__(self, generator, grid, labels, offsets, ground, per_label):
        self.generator, self.grid = generator, tuple(grid)
        self.offsets = axis_offsets(len(grid)) if offsets is None else tuple(offsets)
        self.options = {} if offsets is None else {"offsets": self.offsets}
        lead = (2, labels) if per_label else (2,)
        self.inputs = {"scores": 2 * self._draw((2, labels, *self.grid))}
        for k, offset in enumerate(self.offsets):
            shape = (*lead, *edge_shape(self.grid, offset))
            self.inputs[f"weights[{k}]"] = 2 * torch.rand(
                shape, generator=generator, dtype=torch.float64
            )
        if ground:
            shape = (*lead, *self.grid)
            self.inputs["ground"] = 0.5 + torch.rand(
                shape, generator=generator, dtype=torch.float64
            )
        self.upstream = self._draw(self.inputs["scores"].shape)

    def _draw(self, shape):
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def like(self, tensor):
        return self._draw(tensor.shape)

    def output(self, cut, inputs):
        weights = [inputs[f"weights[{k}]"] for k in range(len(self.offsets))]
        options = dict(self.options)
        if "ground" in inputs:
            options["ground"] = inputs["ground"]
        return cut(inputs["scores"], weights, **options)

    def gradients(self, cut, inputs=None, upstream=None):
        inputs = self.inputs if inputs is None else inputs
        inputs = {name: t.clone().requires_grad_() for name, t in inputs.items()}
        x = self.output(cut, inputs)
        upstream = self.upstream if upstream is None else upstream
        found = torch.autograd.grad(x, list(inputs.values()), upstream, allow_unused=True)
        for name, gradient in zip(inputs, found, strict=True):
            assert gradient is not None, f"dL/d{name} is missing: the cut must depend on {name}"
        return dict(zip(inputs, found, strict=True))

    def differences(self, cut, name, step=1e-5):
        value = self.inputs[name]
        if not value.numel():  # a grid of width 1 has no edges along that axis
            return value
        # all moved copies go through the cut as one batch: (entry, sign) is its outermost axis
        moves = step * torch.eye(value.numel(), dtype=value.dtype).view(-1, *value.shape)
        copies = 2 * value.numel()
        inputs = {n: t.repeat(copies, *[1] * (t.dim() - 1)) for n, t in self.inputs.items()}
        inputs[name] = torch.cat((value + moves, value - moves)).flatten(0, 1)
        with torch.no_grad():
            x = self.output(cut, inputs).view(copies, *self.upstream.shape)
        ahead, behind = (x * self.upstream).flatten(1).sum(1).view(2, -1)
        return ((ahead - behind) / (2 * step)).view(value.shape)

    def system(self):
        weights = [self.inputs[f"weights[{k}]"] for k in range(len(self.offsets))]
        return GridSystem(
            weights, offsets=self.offsets, ground=self.inputs.get("ground"), grid=self.grid
        )

    def solved(self):
        system, scores = self.system(), self.inputs["scores"]
        x, adjoint = torch.empty_like(scores), torch.empty_like(scores)
        for b in range(scores.shape[0]):
            for label in range(scores.shape[1]):
                matrix = torch.from_numpy(
                    system.to_scipy(b, label if system.labels else 0).toarray()
                )
                for out, rhs in ((x, scores), (adjoint, self.upstream)):
                    column = torch.linalg.solve(matrix, rhs[b, label].flatten())
                    out[b, label] = column.view(self.grid)
        return system, x, adjoint

    def half_square(self, cut, direction, step):
        moved = {n: t + step * direction[n] for n, t in self.inputs.items()}
        x = self.output(cut, moved).detach()
        return self.gradients(cut, moved, x)

    def hessian_times(self, cut, direction):
        inputs = {n: t.clone().requires_grad_() for n, t in self.inputs.items()}
        loss = self.output(cut, inputs).square().sum() / 2
        first = torch.autograd.grad(loss, list(inputs.values()), create_graph=True)
        slope = sum((g * d).sum() for g, d in zip(first, direction.values(), strict=True))
        assert slope.requires_grad, "the gradient must itself be differentiable (create_graph)"
        second = torch.autograd.grad(slope, list(inputs.values()))
        return dict(zip(inputs, second, strict=True))


def _same(name, arrived, expected, source, tol):
    """Compare a gradient with what it must be, and name the likely mistake."""
    assert arrived.shape == expected.shape, (
        f"dL/d{name} must have shape {tuple(expected.shape)}, got {tuple(arrived.shape)}; weights "
        "shared by all labels get one gradient, summed over labels"
    )
    if not expected.numel():
        return
    error = (arrived - expected).abs()
    bound = tol * max(float(expected.abs().max()), 1e-12)
    if float(error.max()) <= bound:
        return
    worst = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
    raise AssertionError(
        f"dL/d{name} must equal {source}: at {worst} expected {float(expected[worst]):.6g}, got "
        f"{float(arrived[worst]):.6g}; {_likely_reason(arrived, expected, error > bound)}"
    )


def _likely_reason(arrived, expected, wrong):
    factor = float((arrived * expected).sum() / expected.square().sum())
    proportional = float((arrived - factor * expected).norm()) <= 1e-3 * float(expected.norm())
    if proportional and abs(factor + 1) < 1e-4:
        return "the sign is flipped: raising a conductance lowers the difference across it"
    if proportional and abs(factor - 1) < 0.01:
        return (
            "nearly right, but not exact: solve more tightly, to 1e-11, before blaming the formula"
        )
    if proportional:
        return (
            f"everything is multiplied by {factor:.4g}: look for a missing sum, mean or count (an "
            "edge is stored once and joins two pixels)"
        )
    if not bool(wrong.all()):
        return (
            f"only {int(wrong.sum())} of {wrong.numel()} entries are wrong: is the border treated "
            "as the interior, or one direction's edge shifted by a pixel?"
        )
    return "is g replaced by the adjoint A^-1 g, and is the solve tight enough (1e-11)?"
