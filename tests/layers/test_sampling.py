"""`sample_soft_cut`: the right distribution on any grid, by any solver; options; errors."""

import pytest
import torch

from softcut_lib import CG, Direct, Multigrid, SuperLU, sample_soft_cut, soft_cut
from softcut_lib.layers.sampling import circuit_noise
from softcut_lib.theorems.fields import samples_have_the_covariance
from softcut_lib.theorems.linear_system import random_scores, random_system


def problem(grid=(5, 6), labels=None, offsets=None, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    system = random_system(
        grid, generator=generator, labels=labels, grounded=True, offsets=offsets, dtype=dtype
    )
    return random_scores(system, generator=generator, labels=2), system


@pytest.mark.parametrize("solver", [CG(tol=1e-9), Direct(), SuperLU(), Multigrid(tol=1e-9)])
def test_mean_and_covariance(solver):
    generator = torch.Generator().manual_seed(1)

    def sample(*arguments, **options):
        return sample_soft_cut(*arguments, generator=generator, solver=solver, **options)

    samples_have_the_covariance(sample, generator=generator)


@pytest.mark.parametrize(
    ("grid", "offsets"), [((7,), None), ((2, 3, 2), None), ((3, 3), ((1, 0), (0, 1), (1, -1)))]
)
def test_any_grid(grid, offsets):
    generator = torch.Generator().manual_seed(2)

    def sample(*arguments, **options):
        return sample_soft_cut(*arguments, generator=generator, solver=SuperLU(), **options)

    samples_have_the_covariance(sample, generator=generator, grid=grid, offsets=offsets)


def test_the_noise_has_the_covariance_of_the_matrix():
    _, system = problem((2, 3))
    noise = circuit_noise(system, (20_000, 2, 1, 2, 3), torch.Generator().manual_seed(0))
    for b in range(2):
        A = torch.from_numpy(system.to_scipy(b).toarray())
        size = A.diag()
        error = (torch.cov(noise[:, b, 0].flatten(1).T) - A) / (
            (A**2 + size * size[:, None]) / 2e4
        ).sqrt()
        assert float(error.abs().max()) < 5


@pytest.mark.parametrize("labels", [None, 2])
@pytest.mark.parametrize("solver", [CG(tol=1e-10), Direct()])
def test_shape_and_spread_about_the_soft_cut(labels, solver):
    scores, system = problem(labels=labels)
    options = {"ground": system.ground, "solver": solver}
    x = sample_soft_cut(
        scores,
        system.weights,
        num_samples=600,
        generator=torch.Generator().manual_seed(0),
        **options,
    )
    assert x.shape == (600, *scores.shape) and not x.requires_grad
    mean = soft_cut(scores, system.weights, **options)
    for b in range(2):
        for label in range(2):
            matrix = system.to_scipy(b, label if labels else 0).toarray()
            size = torch.linalg.inv(torch.from_numpy(matrix)).diag().view(5, 6)
            error = (x[:, b, label].mean(0) - mean[b, label]) / (size / 600).sqrt()
            assert float(error.abs().max()) < 5
            ratio = x[:, b, label].var(0) / size
            assert 0.9 < float(ratio.mean()) < 1.1


def test_the_same_generator_gives_the_same_samples_by_any_solver():
    scores, system = problem()
    x, y = (
        sample_soft_cut(
            scores,
            system.weights,
            ground=system.ground,
            num_samples=3,
            solver=solver,
            generator=torch.Generator().manual_seed(4),
        )
        for solver in (Direct(), CG(tol=1e-12))
    )
    torch.testing.assert_close(x, y, atol=1e-8, rtol=1e-8)


def test_labels_and_samples_are_independent():
    scores, system = problem()
    x = sample_soft_cut(
        scores, system.weights, num_samples=3000, generator=torch.Generator().manual_seed(5)
    )
    x = (x - x.mean(0)) / x.std(0)
    between_labels = (x[:, :, 0] * x[:, :, 1]).mean(0)
    between_samples = (x[1:] * x[:-1]).mean(0)
    assert float(between_labels.abs().max()) < 5 / 3000**0.5
    assert float(between_samples.abs().max()) < 5 / 3000**0.5


def test_float32_and_autocast():
    scores, system = problem(dtype=torch.float32)
    draw = {"num_samples": 2, "solver": CG(tol=1e-6)}
    plain = sample_soft_cut(
        scores, system.weights, generator=torch.Generator().manual_seed(0), **draw
    )
    assert plain.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        cast = sample_soft_cut(
            scores, system.weights, generator=torch.Generator().manual_seed(0), **draw
        )
    torch.testing.assert_close(cast, plain)


def test_a_missed_tolerance_is_said():
    scores, system = problem()
    with pytest.warns(UserWarning, match="CG"):
        sample_soft_cut(
            scores,
            [1000 * w for w in system.weights],
            num_samples=2,
            solver=CG(tol=1e-12, max_iter=2),
            generator=torch.Generator().manual_seed(0),
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_samples": 0}, "num_samples"),
        ({"num_samples": 2.5}, "num_samples"),
        ({"solver": "CG"}, "solver"),
        ({"ground": torch.zeros(2, 5, 6, dtype=torch.float64)}, "ground"),
        ({"offsets": ((1, 0), (1, 1))}, "weights"),
    ],
)
def test_bad_options_are_refused(change, words):
    scores, system = problem()
    with pytest.raises((ValueError, TypeError), match=words):
        sample_soft_cut(scores, system.weights, **{"num_samples": 2, **change})


def test_bad_tensors_are_refused():
    scores, system = problem()
    for bad in (scores[:, 0], scores.long(), scores / 0):
        with pytest.raises((ValueError, TypeError), match="scores|dtype"):
            sample_soft_cut(bad, system.weights, num_samples=1)
    with pytest.raises(ValueError, match="weights"):
        sample_soft_cut(scores, [-w for w in system.weights], num_samples=1)
