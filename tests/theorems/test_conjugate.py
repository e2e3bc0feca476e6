"""The promises of conjugate gradients hold for the library and refuse plausible mistakes."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import conjugate

PROMISES = [
    conjugate.error_decreases,
    conjugate.residuals_are_orthogonal,
    conjugate.directions_are_conjugate,
    conjugate.minimizes_over_krylov,
    conjugate.ends_after_n_steps,
    conjugate.rate_bound,
]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


def variant(*, sign=1.0, step=None, keep=True, border=True):
    """Textbook CG from zero, with a mistake where an option asks for one."""

    def iterate(system, rhs, k):
        matrix = torch.from_numpy(system.to_scipy().toarray())
        b = rhs.flatten()
        if not border:
            matrix[-1, :-1] = 0
        x, r = torch.zeros_like(b), b.clone()
        p = r
        for _ in range(k):
            if float(r.norm()) < 1e-14 * float(b.norm()):
                break
            q = matrix @ p
            alpha = r @ r / (p @ q if step is None else step(p, r, q))
            x, after = x + alpha * p, r - alpha * q
            p = after + sign * keep * (after @ after) / (r @ r) * p
            r = after
        return x.view(rhs.shape)

    return iterate


@pytest.mark.parametrize("promise", PROMISES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kernel", ["torch", "fused"])
def test_library(promise, kernel, generator):
    promise(conjugate.steps_of(kernel=kernel), generator=generator)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda f: f.__name__)
def test_textbook(promise, generator):
    promise(variant(), generator=generator)


WRONG = {
    "minus beta, as printed in Algorithm 2 line 16": variant(sign=-1.0),
    "alpha without A": variant(step=lambda p, r, q: p @ p),
    "half the step": variant(step=lambda p, r, q: 2 * (p @ q)),
    "border row left out": variant(border=False),
}


# a shrinking error alone forgives much: half steps and a wrong beta still creep downhill
STRICT = [f for f in PROMISES if f is not conjugate.error_decreases]


@pytest.mark.parametrize("promise", STRICT, ids=lambda f: f.__name__)
@pytest.mark.parametrize("iterate", WRONG.values(), ids=WRONG)
def test_wrong_methods_are_refused(promise, iterate, generator):
    with pytest.raises(AssertionError):
        promise(iterate, generator=generator)


def test_a_step_too_long_lets_the_error_grow(generator):
    for factor in (0.4, 0.1):
        too_long = variant(step=lambda p, r, q, factor=factor: factor * (p @ q))
        with pytest.raises(AssertionError, match="shrink in every step"):
            conjugate.error_decreases(too_long, generator=generator)


@pytest.mark.parametrize(
    "promise",
    [f for f in STRICT if f is not conjugate.residuals_are_orthogonal],
    ids=lambda f: f.__name__,
)
def test_steepest_descent_is_refused(promise, generator):
    with pytest.raises(AssertionError):
        promise(variant(keep=False), generator=generator)


@pytest.mark.parametrize("kernel", ["torch", "fused"])
def test_published_adjoint(kernel, generator):
    options = {f: getattr(sc.PUBLISHED_CG, f) for f in ("tol", "max_iter", "start", "stop")}
    published = sc.CG(preconditioner=None, accept=True, kernel=kernel, **options)
    conjugate.published_adjoint_is_one_step(published, generator=generator)


@pytest.mark.parametrize(
    "adjoint",
    [
        lambda system, g: g,
        sc.CG(tol=1e-12),
        sc.CG(max_iter=1, start="rhs", accept=True),
        sc.CG(max_iter=1, preconditioner=None, accept=True),
        lambda system, g: 2 * g - conjugate.one_step_from(system, g),
    ],
    ids=["no step", "converged", "Jacobi", "from zero", "flipped sign"],
)
def test_other_adjoints_are_not_the_published_one(adjoint, generator):
    with pytest.raises(AssertionError, match="one CG step from g"):
        conjugate.published_adjoint_is_one_step(adjoint, generator=generator)
