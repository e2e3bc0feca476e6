"""Total variation on chains on a GPU: the taut strings as CUDA kernels, in Triton (chapter 7).

    x = argmin 1/2 ||x - y||^2 + sum_i w_i |x_{i+1} - x_i|    on every chain

One program, a single warp, walks one chain of one system (sample x label) exactly as `_taut_string`
in chains.py does, so a batch of B pictures of H rows keeps B H warps busy. The walk is a few
numbers and needs one lane; a straight piece, once found, is written by all of them. The pixels
between the wall where the string bends and the place where that was noticed are read again.

A chain begins at pixel starts[c] of the flat grid and has lengths[c] pixels, each `stride` after
the one before; w stands at the first pixel of its edge, and a chain's last pixel has the weight 0.
All is float64, and no product is fused with a sum (see launch_chains.py), so that the answer is
that of the CPU to the last bit.
"""

import triton
import triton.language as tl

LANES = 32

_any_value = ["pixels", "chains", "stride", "share"]


@triton.jit
def _chain(y, w, x, starts, lengths, pixels, chains, share):
    """y, w and x of this program's chain, as pointers to its first pixel, and its length."""
    system, c = tl.program_id(0) // chains, tl.program_id(0) % chains
    start = tl.load(starts + c).to(tl.int64)
    row = system.to(tl.int64) * pixels + start
    matrix = (system // share).to(tl.int64) * pixels + start
    return y + row, w + matrix, x + row, tl.load(lengths + c)


@triton.jit(do_not_specialize=_any_value)
def taut_strings(
    y, w, x, starts, lengths, inverse, pixels, chains, stride, share, LANES: tl.constexpr
):
    """Solve all chains; inverse[k] = 1/k, which the slopes take for a division."""
    y, w, x, length = _chain(y, w, x, starts, lengths, pixels, chains, share)
    stride = stride.to(tl.int64)
    lane = tl.arange(0, LANES)
    first = tl.full([], 0, tl.int32)  # where a straight piece begins,
    bend = tl.full([], 0.0, tl.float64)  # and on which wall: +-w, or 0 inside
    while first < length:
        i, low_end, high_end = first, first, first
        radius = tl.load(w + first * stride)
        middle = tl.load(y + first * stride) + bend
        low, high = middle - radius, middle + radius
        # current at i if the slope is low or high: at most radius, at least -radius
        at_low, at_high = radius, -radius
        wall = tl.full([], 0, tl.int32)  # -1 or 1: the string bends around the lower, the upper one
        while (wall == 0) & (radius != 0.0):  # where the radius is 0, low and high have met
            ahead = tl.load(y + (i + 1) * stride)
            radius_ahead = tl.load(w + (i + 1) * stride)
            at_low += ahead - low
            at_high += ahead - high
            wall = tl.where(at_low < -radius_ahead, -1, tl.where(at_high > radius_ahead, 1, 0))
            if wall == 0:
                i += 1
                radius = radius_ahead
                part = tl.load(inverse + (i - first + 1))
                if at_low >= radius:
                    low += (at_low - radius) * part
                    at_low, low_end = radius, i
                if at_high <= -radius:
                    high += (at_high + radius) * part
                    at_high, high_end = -radius, i
        last = tl.where(wall < 0, low_end, tl.where(wall > 0, high_end, i))
        value = tl.where(wall < 0, low, tl.where(wall > 0, high, low + at_low))
        reached = tl.load(w + last * stride)
        bend = tl.where(wall < 0, reached, tl.where(wall > 0, -reached, 0.0))
        for k in range(first, last + 1, LANES):
            place = (k + lane).to(tl.int64)
            tl.store(x + place * stride, value, mask=place <= last)
        first = last + 1


@triton.jit(do_not_specialize=_any_value)
def currents(v, w, u, starts, lengths, pixels, chains, stride, share):
    """u with D'u = v on every chain: what flows from a pixel to the next, at most w."""
    v, w, u, length = _chain(v, w, u, starts, lengths, pixels, chains, share)
    stride = stride.to(tl.int64)
    flow = tl.full([], 0.0, tl.float64)
    for k in range(length):
        most = tl.load(w + k * stride)
        flow = flow - tl.load(v + k * stride)
        flow = tl.where(flow < -most, -most, flow)  # so written, NaN stays
        flow = tl.where(flow > most, most, flow)
        tl.store(u + k * stride, flow)
