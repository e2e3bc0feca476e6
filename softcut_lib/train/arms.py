"""The cuts that experiments compare, each as a row of any network that has conductances.

    row = network + cut,        prob = sigmoid or softmax of cut(scores, weights)

The thesis compares a submodular layer and two soft cuts; the others take its soft cut apart, to
tell what a converged solve changes from what a true gradient changes. Chapters 10 to 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from softcut_lib.train.forms import Model


def with_cuts(net: Callable, about: str, names: Iterable[str] | None = None) -> dict[str, Model]:
    """One row for each cut, on the same network.

    Args:
        net: called as ``net()``, a fresh module image -> (scores, weights).
        about: the network in words.
        names: the cuts, of `CUTS`; all if None.

    Returns:
        dict: name of the cut -> `Model`.

    Example:
        >>> import softcut_lib as sc
        >>> net = lambda: sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet())
        >>> rows = with_cuts(net, "two small nets", ["softcut"])
        >>> rows["softcut"].about
        'two small nets, soft cut by CG, at most 1000 steps'
    """
    chosen = CUTS if names is None else {name: CUTS[name] for name in names}
    return {
        name: Model(f"{about}, {words}", _builder(net, make), printed)
        for name, (words, make, printed) in chosen.items()
    }


def _builder(net, make):
    def build(log=None):
        import softcut_lib as sc

        return sc.CutNet(net(), make(sc, log))

    return build


def _variation(**options):
    return lambda sc, log: sc.TotalVariation(log=log, **options)


def _soft_cut(solver, adjoint=None):
    """A soft cut whose solvers are functions of the library."""
    return lambda sc, log: sc.SoftCut(
        solver=solver(sc), adjoint=None if adjoint is None else adjoint(sc), log=log
    )


def _one_step(sc):
    """lambda = g + alpha (g - A g), what the thesis' adjoint comes to on mean losses."""
    return sc.CG(max_iter=1, preconditioner=None, start="rhs", accept=True)


# name: words, make(softcut_lib, log), the row's name in the thesis
CUTS = {
    "submodular": (
        "total variation by 35 Douglas-Rachford steps",
        _variation(method="published", refine=False),
        "Submodular",
    ),
    "submodular-isotonic": (
        "total variation by 35 steps with isotonic refinement",
        _variation(method="published"),
        "Submodular + isotonic",
    ),
    "total-variation": ("exact total variation", _variation(), None),
    "softcut-published": (
        "soft cut by PUBLISHED_CG, forward and backward",
        _soft_cut(lambda sc: sc.PUBLISHED_CG),
        "SoftCut approximate",
    ),
    "softcut-one-step": (
        "soft cut by Multigrid, its adjoint by one step of CG",
        _soft_cut(lambda sc: sc.Multigrid(), _one_step),
        None,
    ),
    "softcut": ("soft cut by CG, at most 1000 steps", _soft_cut(lambda sc: sc.CG()), None),
    "softcut-one-step-cg": (
        "soft cut by CG, at most 1000 steps, its adjoint by one",
        _soft_cut(lambda sc: sc.CG(), _one_step),
        None,
    ),
    "softcut-multigrid": (
        "soft cut by Multigrid, converged at any contrast",
        _soft_cut(lambda sc: sc.Multigrid()),
        None,
    ),
    "softcut-exact": (
        "soft cut by Direct, its adjoint too",
        _soft_cut(lambda sc: sc.Direct()),
        "SoftCut exact",
    ),
}
