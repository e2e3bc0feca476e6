"""The fused CUDA kernels of conjugate gradients, written in Triton (chapter 5).

As in kernels_cpu.py the grid is flattened: an edge of offset o joins pixel i to i + s, s the flat
stride of o, and its weight stands in one array per offset, zero where the grid ends. All systems
(samples x labels) run in one launch; `programs` of them work on each, and a step is two launches:

    `_advance`   p = z + beta p, q = A p, partial sums of <p, q>
    `_descend`   x += alpha p, z -= alpha q / a, partial sums of <r, r> and <r, z>

Here z = r / a is the preconditioned residual (a the diagonal of A, or 1), so neighbors need nothing
but z and p, and a_ii is summed from the weights that the product reads anyway. p has two buffers,
since another program may still read the old direction next to the pixel that this one renews.

    (A p)_i = ground_i p_i + sum over neighbors j of w_ij (p_i - p_j)

multiplies differences: in float32 it keeps a ground that a diagonal rounded to 24 bits would lose.

The device decides. Sums are float64: each program writes its part and the next launch adds all
parts in a fixed order, in every program, so there are no atomics, two runs agree to the last bit,
and the partition depends on the number of pixels only, never on the batch. alpha, beta and the
stopping rule are worked out from them by every program; program 0 of a system writes them down. A
value that one launch writes is read only by the next, so no program races another. A system that is
done takes no further part, and counts and history stay exact however seldom the host looks.

(The single-reduction form of Chronopoulos and Gear 1989 needs one launch a step, but as many
arrays, and its recurrence for A p lets the true residual drift; pass counts being equal, it would
save launches only, and those a CUDA graph saves as well.)
"""

import triton
import triton.language as tl

# 128 threads hold 4 pixels each, in float32 one 16-byte access. Compiled for compute capability 8.0
# `advance` takes 64 registers a thread with two offsets and 80 with thirteen (float64: 80 and 128),
# `descend` 40 (48): nothing spills, and 4 to 8 programs and more fit on a multiprocessor.
TILE = 512
WARPS = 4
# At most this many programs a system: enough to fill a large GPU with one image, few enough that
# each of them can add all parts (4 KB) without noticing.
PROGRAMS = 512

# rows of `partials` (float64, one value a system and program)
SQUARE, ENERGY, CURVATURE, LARGEST = (tl.constexpr(k) for k in range(4))
# rows of `numbers` (float64, one value a system); LIMIT is tol^2 ||rhs||^2 or the published bound
LIMIT, NORM, REDUCED, BEFORE = (tl.constexpr(k) for k in range(4))
# rows of `flags` (int32, one value a system)
ALIVE, STEPS, CLOCK, STOPPED = (tl.constexpr(k) for k in range(4))

_any_value = ["systems", "share", "programs", "max_iter"]


@triton.jit
def _total(partials, programs, PROGRAMS: tl.constexpr):
    """One system's parts, added in an order that is always the same."""
    k = tl.arange(0, PROGRAMS)
    return tl.sum(tl.load(partials + k, mask=k < programs, other=0.0), axis=0)


@triton.jit
def _product(weights, ground, z, p, beta, i, n, strides):
    """(u_i, (A u)_i, a_ii) for u = z + beta p."""
    inside = i < n
    u = tl.load(z + i, mask=inside, other=0.0) + beta * tl.load(p + i, mask=inside, other=0.0)
    diagonal = tl.load(ground + i, mask=inside, other=1.0)
    out = diagonal * u
    for k in tl.static_range(len(strides)):
        there = i + strides[k]
        near = inside & (there < n)
        v = tl.load(z + there, mask=near, other=0.0)
        v += beta * tl.load(p + there, mask=near, other=0.0)
        w = tl.load(weights + i, mask=inside, other=0.0)
        out += w * (u - v)
        diagonal += w
        there = i - strides[k]
        near = inside & (there >= 0)
        v = tl.load(z + there, mask=near, other=0.0)
        v += beta * tl.load(p + there, mask=near, other=0.0)
        w = tl.load(weights + there, mask=near, other=0.0)
        out += w * (u - v)
        diagonal += w
        weights += n
    return u, out, diagonal


@triton.jit(do_not_specialize=_any_value)
def begin(
    weights, ground, rhs, x, z, diagonal, partials, n, systems, share, programs, strides,
    JACOBI: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """z = (rhs - A x) / a and its norms; <rhs, rhs> in the place of the curvature."""
    s, b = tl.program_id(0) // programs, tl.program_id(0) % programs
    matrix, row = (s // share).to(tl.int64) * n, s.to(tl.int64) * n
    square = tl.zeros([TILE], tl.float64)
    energy = tl.zeros([TILE], tl.float64)
    size = tl.zeros([TILE], tl.float64)
    for tile in range(b, tl.cdiv(n, TILE), programs):
        i = tile * TILE + tl.arange(0, TILE)
        inside = i < n
        _, out, a = _product(
            weights + matrix * len(strides), ground + matrix, x + row, x + row, 0.0, i, n, strides
        )
        given = tl.load(rhs + row + i, mask=inside, other=0.0)
        r = given - out
        scaled = r
        if JACOBI:
            scaled = r / a
            tl.store(diagonal + matrix + i, a, mask=inside & (s % share == 0))
        tl.store(z + row + i, scaled, mask=inside)
        size += given.to(tl.float64) * given.to(tl.float64)
        square += r.to(tl.float64) * r.to(tl.float64)
        energy += r.to(tl.float64) * scaled.to(tl.float64)
    part = partials + s * programs + b
    tl.store(part + SQUARE * systems * programs, tl.sum(square, axis=0))
    tl.store(part + ENERGY * systems * programs, tl.sum(energy, axis=0))
    tl.store(part + CURVATURE * systems * programs, tl.sum(size, axis=0))


@triton.jit(do_not_specialize=_any_value)
def aim(partials, numbers, systems, programs, PROGRAMS: tl.constexpr):
    """limit = tol^2 <rhs, rhs>; the row holds tol^2 before."""
    s = tl.program_id(0)
    size = _total(partials + (CURVATURE * systems + s) * programs, programs, PROGRAMS)
    limit = numbers + LIMIT * systems + s
    tl.store(limit, tl.load(limit) * size)


@triton.jit(do_not_specialize=_any_value)
def advance(
    weights, ground, z, old, new, q, partials, numbers, flags, history, n, systems, share,
    programs, max_iter, strides, RELATIVE: tl.constexpr, JACOBI: tl.constexpr,
    WORK: tl.constexpr, TILE: tl.constexpr, PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Write down where each system stands; with WORK also renew p and multiply it by A."""
    s, b = tl.program_id(0), 0
    if WORK:
        s, b = tl.program_id(0) // programs, tl.program_id(0) % programs
    square = _total(partials + (SQUARE * systems + s) * programs, programs, PROGRAMS)
    energy = _total(partials + (ENERGY * systems + s) * programs, programs, PROGRAMS)
    before = tl.load(numbers + BEFORE * systems + s)
    step = tl.load(flags + STEPS * systems + s)
    going = tl.load(flags + STOPPED * systems + s) == 0
    alive = going & (step < max_iter)
    if RELATIVE:
        alive = alive & (square > tl.load(numbers + LIMIT * systems + s))
    if b == 0:
        tl.store(flags + ALIVE * systems + s, alive.to(tl.int32))
        tl.store(flags + CLOCK * systems + s, step)
        tl.store(numbers + REDUCED * systems + s, energy)
        tl.store(numbers + NORM * systems + s, square, mask=going)
        tl.store(history + step.to(tl.int64) * systems + s, square, mask=going)
    if WORK:
        if alive:
            kind = z.dtype.element_ty
            beta = tl.where(before != 0, energy / tl.where(before != 0, before, 1.0), 0.0).to(kind)
            matrix, row = (s // share).to(tl.int64) * n, s.to(tl.int64) * n
            curvature = tl.zeros([TILE], tl.float64)
            for tile in range(b, tl.cdiv(n, TILE), programs):
                i = tile * TILE + tl.arange(0, TILE)
                inside = i < n
                p, out, a = _product(
                    weights + matrix * len(strides), ground + matrix, z + row, old + row, beta, i,
                    n, strides,
                )  # fmt: skip
                curvature += p.to(tl.float64) * out.to(tl.float64)
                if JACOBI:
                    out = out / a
                tl.store(new + row + i, p, mask=inside)
                tl.store(q + row + i, out, mask=inside)
            part = partials + (CURVATURE * systems + s) * programs + b
            tl.store(part, tl.sum(curvature, axis=0))


@triton.jit
def _norm_of_all(numbers, systems, PROGRAMS: tl.constexpr):
    """The residual's norm over the whole batch, systems that are not finite left out."""
    total = tl.zeros([PROGRAMS], tl.float64)
    for first in range(0, systems, PROGRAMS):
        s = first + tl.arange(0, PROGRAMS)
        square = tl.load(numbers + NORM * systems + s, mask=s < systems, other=0.0)
        total += tl.where(square < float("inf"), square, 0.0)
    return tl.sqrt(tl.sum(total, axis=0))


@triton.jit(do_not_specialize=_any_value)
def descend(
    x, z, p, q, diagonal, partials, numbers, flags, n, systems, share, programs,
    RELATIVE: tl.constexpr, JACOBI: tl.constexpr, TILE: tl.constexpr, PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Take the step, unless the system is done or the stopping rule is met."""
    s, b = tl.program_id(0) // programs, tl.program_id(0) % programs
    alive = tl.load(flags + ALIVE * systems + s) != 0
    step = tl.load(flags + CLOCK * systems + s)
    energy = tl.load(numbers + REDUCED * systems + s)
    if alive:
        curvature = _total(partials + (CURVATURE * systems + s) * programs, programs, PROGRAMS)
        if RELATIVE:  # no curvature: rounding has used the directions up, or NaN
            moves = curvature > 0
        else:
            bound = tl.load(numbers + LIMIT * systems + s)
            moves = (step == 0) | (_norm_of_all(numbers, systems, PROGRAMS) >= bound)
        if b == 0:
            tl.store(flags + STEPS * systems + s, step + moves.to(tl.int32))
            tl.store(flags + STOPPED * systems + s, 1 - moves.to(tl.int32))
            tl.store(numbers + BEFORE * systems + s, energy, mask=moves)
            if RELATIVE:
                broken = curvature != curvature
                tl.store(numbers + NORM * systems + s, float("nan"), mask=broken)
        if moves:
            kind = z.dtype.element_ty
            bent = curvature != 0
            alpha = tl.where(bent, energy / tl.where(bent, curvature, 1.0), 0.0).to(kind)
            matrix, row = (s // share).to(tl.int64) * n, s.to(tl.int64) * n
            square = tl.zeros([TILE], tl.float64)
            reduced = tl.zeros([TILE], tl.float64)
            for tile in range(b, tl.cdiv(n, TILE), programs):
                i = tile * TILE + tl.arange(0, TILE)
                inside = i < n
                answer = tl.load(x + row + i, mask=inside, other=0.0)
                answer += alpha * tl.load(p + row + i, mask=inside, other=0.0)
                tl.store(x + row + i, answer, mask=inside)
                scaled = tl.load(z + row + i, mask=inside, other=0.0)
                scaled -= alpha * tl.load(q + row + i, mask=inside, other=0.0)
                tl.store(z + row + i, scaled, mask=inside)
                scaled = scaled.to(tl.float64)
                r = scaled
                if JACOBI:
                    r *= tl.load(diagonal + matrix + i, mask=inside, other=0.0).to(tl.float64)
                square += r * r
                reduced += r * scaled
            part = partials + s * programs + b
            tl.store(part + SQUARE * systems * programs, tl.sum(square, axis=0))
            tl.store(part + ENERGY * systems * programs, tl.sum(reduced, axis=0))


@triton.jit(do_not_specialize=_any_value)
def measure(
    weights, ground, rhs, x, partials, n, systems, share, programs, strides, TILE: tl.constexpr
):
    """Parts of ||rhs - A x||^2, ||x||^2 and ||rhs||^2, and of the largest row sum of |A|."""
    s, b = tl.program_id(0) // programs, tl.program_id(0) % programs
    matrix, row = (s // share).to(tl.int64) * n, s.to(tl.int64) * n
    missing = tl.zeros([TILE], tl.float64)
    answer = tl.zeros([TILE], tl.float64)
    size = tl.zeros([TILE], tl.float64)
    largest = tl.zeros([TILE], tl.float64)
    for tile in range(b, tl.cdiv(n, TILE), programs):
        i = tile * TILE + tl.arange(0, TILE)
        inside = i < n
        u, out, a = _product(
            weights + matrix * len(strides), ground + matrix, x + row, x + row, 0.0, i, n, strides
        )
        given = tl.load(rhs + row + i, mask=inside, other=0.0)
        r = (given - out).to(tl.float64)
        missing += r * r
        answer += u.to(tl.float64) * u.to(tl.float64)
        size += given.to(tl.float64) * given.to(tl.float64)
        # the off-diagonal entries of a row add up to its diagonal minus the ground
        rows = 2 * a - tl.load(ground + matrix + i, mask=inside, other=0.0)
        largest = tl.maximum(largest, tl.where(inside, rows, 0.0).to(tl.float64))
    part = partials + s * programs + b
    tl.store(part + SQUARE * systems * programs, tl.sum(missing, axis=0))
    tl.store(part + ENERGY * systems * programs, tl.sum(answer, axis=0))
    tl.store(part + CURVATURE * systems * programs, tl.sum(size, axis=0))
    tl.store(part + LARGEST * systems * programs, tl.max(largest, axis=0))
