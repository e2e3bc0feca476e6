"""Conjugate gradients on CUDA: memory and launches for the kernels in kernels_cuda.py (chapter 5).

The host packs the system into flat arrays on the device, launches steps, and looks now and then
whether any system still runs; that look is the only time it waits. It looks after 16 steps, then
after 32, then after every 64: steps beyond the last are launches that return at once.

Memory for a run: one array of the grid's size per offset and sample (or label, where weights are
per label), the diagonal, and per system q, z, two p and the answer.
"""

import contextlib
import threading
from collections import OrderedDict

import torch

from softcut_lib.grid.edges import head, tail
from softcut_lib.solvers import kernels_cuda as kernels

LOOK = (16, 32, 64)  # steps before the first look, the second, and every later one
# How many recorded CUDA graphs are kept, each with its work arrays, one for every form of system
# (grid, offsets, batch, labels, dtype, options). 0: each kernel is launched by itself, which costs
# the host about as long as a small system costs the device. benchmarks/gpu.py measures both: on an
# H100 every solve of 64 steps was faster by graphs (book/results/solvers-gpu.json).
GRAPHS = 0
GRAPH_STEPS = 16
# Programs count pixels in 32 bits, and look one stride ahead of the last.
MOST_PIXELS = 2**30

_kept = OrderedDict()
_one_at_a_time = threading.Lock()


def run(system, rhs, x, options):
    """Conjugate gradients with the fused kernels; x holds the start and becomes the answer.

    Returns (steps (B, L), squared residual norms (steps + 1, B, L)), and the true ||rhs - A x||,
    ||x||, ||rhs|| and ||A||_inf, each float64 (B, L).
    """
    pixels = rhs[0, 0].numel()
    if pixels > MOST_PIXELS:
        raise ValueError(
            f'kernel="fused" takes at most {MOST_PIXELS} pixels a system on CUDA, got {pixels}; '
            'use kernel="torch"'
        )
    with current(rhs.device):
        if GRAPHS:
            with _one_at_a_time:
                return _solve(_kept_machine(system, rhs, options), system, rhs, x, options)
        return _solve(_Machine(system, rhs, options), system, rhs, x, options)


def pack(system, weights=None):
    """The system as flat arrays on its device: (weights (M, K, N), ground (M, N), strides).

    M is the number of different matrices, samples or samples x labels. `weights` is filled if
    given. Offsets that have no edges are left out.
    """
    grid, count = system.grid, system.batch * (system.labels or 1)
    used, strides = _strides(system)
    ground = system.labeled(system.ground).expand(system.batch, system.labels or 1, *grid)
    if weights is None:
        weights = ground.new_zeros(count, len(strides), ground[0, 0].numel())
    for k, (w, offset, positive) in enumerate(used):
        place = tail if positive else head
        array = weights[:, k].view(ground.shape)
        place(array, offset).copy_(system.labeled(w))
    return weights, ground.reshape(count, -1).contiguous(), strides


def _strides(system):
    """Weights, offsets and the sign of the flat stride of the offsets with edges; the strides."""
    steps = [1]
    for n in system.grid[:0:-1]:
        steps.insert(0, steps[0] * n)
    used, strides = [], []
    for w, offset in zip(system.weights, system.offsets, strict=True):
        stride = sum(o * t for o, t in zip(offset, steps, strict=True))
        if w.numel():  # an offset without edges may have any stride, even 0
            used.append((w, offset, stride > 0))
            strides.append(abs(stride))
    return used, tuple(strides) or (1,)


class _Machine:
    """The arrays of one run, and the launches that work on them."""

    def __init__(self, system, rhs, options):
        self.options, self.relative = options, options.stop == "relative"
        self.jacobi = options.preconditioner == "jacobi"
        self.systems, self.n = rhs.shape[:2].numel(), rhs[0, 0].numel()
        self.share = 1 if system.labels else rhs.shape[1]
        # Not a function of the batch: the order of the sums, so the answer, depends on it.
        self.programs = min(-(-self.n // kernels.TILE), kernels.PROGRAMS)
        self.old, self.new, self.q, self.z = (
            torch.empty_like(rhs, memory_format=torch.contiguous_format) for _ in range(4)
        )
        matrices = self.systems // self.share
        self.diagonal = rhs.new_empty(matrices if self.jacobi else 0, self.n)
        self.weights = rhs.new_zeros(matrices, len(_strides(system)[1]), self.n)
        self.partials = rhs.new_empty(4, self.systems, self.programs, dtype=torch.float64)
        self.numbers = rhs.new_empty(4, self.systems, dtype=torch.float64)
        self.flags = rhs.new_empty(4, self.systems, dtype=torch.int32)
        self.history = rhs.new_empty(0, self.systems, dtype=torch.float64)
        # recorded launches know their arrays by address, so a kept machine owns all of them
        self.x = torch.empty_like(self.z) if GRAPHS else None
        self.ground = self.diagonal.new_empty(matrices, self.n) if GRAPHS else None
        self.graph = None

    def begin(self, system, rhs, x):
        """Take in a system, and stand before the first step."""
        options = self.options
        _, ground, self.strides = pack(system, self.weights)
        if GRAPHS:
            self.ground.copy_(ground)
            self.x.copy_(x)
        else:
            self.ground, self.x = ground, x
        self.numbers.zero_()
        self.flags.zero_()
        scale = rhs.numel() if not self.relative else options.tol
        self.numbers[kernels.LIMIT.value] = options.tol * scale
        self.old.zero_()
        kernels.begin[(self.systems * self.programs,)](
            self.weights, self.ground, rhs, self.x, self.z, self.diagonal,
            self.partials, self.n, self.systems, self.share, self.programs, self.strides,
            JACOBI=self.jacobi, TILE=kernels.TILE, num_warps=kernels.WARPS,
        )  # fmt: skip
        if self.relative:
            kernels.aim[(self.systems,)](
                self.partials, self.numbers, self.systems, self.programs,
                PROGRAMS=kernels.PROGRAMS,
            )  # fmt: skip

    def steps(self, count):
        """Launch so many steps, an even number, so that the two p end where they began."""
        for _ in range(count):
            self._advance(work=True)
            kernels.descend[(self.systems * self.programs,)](
                self.x, self.z, self.new, self.q, self.diagonal, self.partials, self.numbers,
                self.flags, self.n, self.systems, self.share, self.programs,
                RELATIVE=self.relative, JACOBI=self.jacobi, TILE=kernels.TILE,
                PROGRAMS=kernels.PROGRAMS, num_warps=kernels.WARPS,
            )  # fmt: skip
            self.old, self.new = self.new, self.old

    def look(self):
        """(does any system still run, the most steps taken): here the host waits."""
        self._advance(work=False)
        running, taken = self.flags[:2].amax(1).cpu().tolist()
        return bool(running), taken

    def _advance(self, work):
        programs = self.systems * self.programs if work else self.systems
        kernels.advance[(programs,)](
            self.weights, self.ground, self.z, self.old, self.new, self.q, self.partials,
            self.numbers, self.flags, self.history, self.n, self.systems, self.share,
            self.programs, self.options.max_iter, self.strides,
            RELATIVE=self.relative, JACOBI=self.jacobi, WORK=work, TILE=kernels.TILE,
            PROGRAMS=kernels.PROGRAMS, num_warps=kernels.WARPS,
        )  # fmt: skip

    def measure(self, rhs, x):
        """||rhs - A x||, ||x||, ||rhs|| and ||A||_inf of each system."""
        kernels.measure[(self.systems * self.programs,)](
            self.weights, self.ground, rhs, x, self.partials, self.n, self.systems, self.share,
            self.programs, self.strides, TILE=kernels.TILE, num_warps=kernels.WARPS,
        )  # fmt: skip
        return *self.partials[:3].sum(2).sqrt(), self.partials[3].amax(1)

    def remember(self, steps):
        """Make room for the history of so many steps."""
        rows = min(steps, self.options.max_iter) + 1
        if len(self.history) < rows:
            longer = self.history.new_empty(rows, self.systems)
            longer[: len(self.history)] = self.history
            self.history = longer


def _solve(machine, system, rhs, x, options):
    """Begin, step until no system runs, and hand out what the device has written down."""
    rhs = rhs.contiguous()
    machine.begin(system, rhs, x)
    launched, running, look = 0, True, 0
    while running:
        count = LOOK[min(look, len(LOOK) - 1)]
        if machine.graph:
            for _ in range(count // GRAPH_STEPS):
                machine.graph()
        else:
            machine.remember(options.max_iter if GRAPHS else launched + count)
            machine.steps(count)
            if GRAPHS:
                machine.graph = _recorded(lambda: machine.steps(GRAPH_STEPS))
        launched += count
        running, taken = machine.look()
        look += 1
    if machine.x is not x:
        x.copy_(machine.x)
    square, steps = machine.numbers[kernels.NORM.value], machine.flags[kernels.STEPS.value].long()
    done = torch.arange(taken + 1, device=steps.device).unsqueeze(1) > steps
    history = torch.where(done, square, machine.history[: taken + 1])
    shape = rhs.shape[:2]
    x.masked_fill_(~square.isfinite().view(*shape, *(1,) * len(system.grid)), float("nan"))
    lengths = (t.view(shape) for t in machine.measure(rhs, x))
    return steps.view(shape), history.view(-1, *shape), *lengths


def _kept_machine(system, rhs, options):
    """The machine whose recorded graph fits this run, or a new one."""
    stream = torch.cuda.current_stream(rhs.device).cuda_stream if rhs.is_cuda else 0
    key = (
        rhs.device, stream, rhs.dtype, rhs.shape, system.labels, _strides(system)[1],
        options.preconditioner, options.stop, options.max_iter,
    )  # fmt: skip
    machine = _kept.pop(key, None) or _Machine(system, rhs, options)
    machine.options = options
    _kept[key] = machine
    while len(_kept) > GRAPHS:
        _kept.popitem(last=False)
    return machine


def _recorded(launch):
    """Record launches as a CUDA graph, without running them; returns what replays them."""
    graph = torch.cuda.CUDAGraph()
    # other threads, such as a loader's, may go on using the device meanwhile
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        launch()
    return graph.replay


def current(device):
    """Triton launches on the current device."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
