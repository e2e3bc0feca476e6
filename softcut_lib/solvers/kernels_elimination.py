"""Incomplete elimination: the smoother of the fused V-cycle, for 5 and 9 points (chapter 6).

Eliminating a pixel k by Kron reduction spreads its links over its later neighbors (east, south
west, south, south east): with D_k the sum of its ground and its later links w_ki,

    the neighbor i takes the share  u_ki = w_ki / D_k  of its current,
    two neighbors i, j get the new link  w_ki w_kj / D_k,   each also ground w_ki g_k / D_k.

Elimination in which every new link is drawn is exact but fills the plane. Here only those between
grid neighbors are drawn; the others, `fill`, are grounded at both ends: an incomplete Cholesky
factor M without a single subtraction, so that a ground of 1 survives beside conductances of 1e8.
M z = b is solved by handing currents on and then reading voltages off,

    t_i = b_i + sum over earlier k of u_ki t_k,     z_k = t_k / D_k + sum over later i of u_ki z_i,

and the residual that it leaves, b - A z = (M - A) z, is what the missing links would carry.

Each sweep is one chain of dependent steps; four rows, each a few columns behind the
row above it, keep the processor busy meanwhile. Source: Meijerink and van der Vorst 1977.
"""

import numpy as np

from softcut_lib.solvers.compiling import LOOSE, compiled

MARGIN = 8  # zeros right of every row; they are also what lies left of the next one
E, S, SE, SW = range(4)  # links and shares of a pixel, by neighbor
index = np.uint64  # an unsigned index needs no test for counting from the end


@compiled(fastmath=LOOSE)
def _inverse(total, one):
    return one / total if total > 0 else total - total


@compiled(fastmath=LOOSE)
def _eliminate_5(k, excess, link_e, link_s, inverse, east, south, fill, sink, one):
    """Pixel k, with `excess` the ground it has by now; returns what its neighbors gain of it."""
    e, s = link_e[k], link_s[k]
    d = _inverse(excess + e + s, one)
    inverse[k], east[k], south[k] = d, e * d, s * d
    fill[k] = e * d * s
    sink[k] = s * d * (excess + e)
    return e * d * (excess + s)


@compiled(fastmath=LOOSE)
def eliminate_5(ground, links, inverse, shares, fill, sink, a, height, width):
    """Factor the 5-point circuit whose first pixel stands at index a."""
    pitch = width + MARGIN
    g, e, s = ground[a:], links[E, a:], links[S, a:]
    d, east, south, dropped = inverse[a:], shares[E, a:], shares[S, a:], fill[0, a:]
    down, above, one = sink[a:], sink[a - pitch :], ground.dtype.type(1)
    for i in range(0, height, 4):
        k0 = index(i * pitch)
        k1, k2, k3 = k0 + index(pitch - 1), k0 + index(2 * pitch - 2), k0 + index(3 * pitch - 3)
        x0 = x1 = x2 = x3 = ground.dtype.type(0)
        for j in range(index(width + 3)):
            k = k3 + j
            x3 = _eliminate_5(k, g[k] + above[k] + x3, e, s, d, east, south, dropped, down, one)
            k = k2 + j
            x2 = _eliminate_5(k, g[k] + above[k] + x2, e, s, d, east, south, dropped, down, one)
            k = k1 + j
            x1 = _eliminate_5(k, g[k] + above[k] + x1, e, s, d, east, south, dropped, down, one)
            k = k0 + j
            x0 = _eliminate_5(k, g[k] + above[k] + x0, e, s, d, east, south, dropped, down, one)


@compiled(fastmath=LOOSE)
def _eliminate_9(k, pitch, inverse, east, south, south_east, south_west, first, second, unit):
    """Pixel k; `inverse` holds the ground it has by now, the other arrays its links by now."""
    g, e, s, se, sw = inverse[k], east[k], south[k], south_east[k], south_west[k]
    d = _inverse(g + e + s + se + sw, unit)
    one = index(1)
    inverse[k], east[k], south[k], south_east[k], south_west[k] = d, e * d, s * d, se * d, sw * d
    south_west[k + one] += e * d * s
    south[k + one] += e * d * se
    east[k + pitch - one] += s * d * sw
    east[k + pitch] += s * d * se
    west_east, east_west = se * d * sw, e * d * sw
    first[k], second[k] = west_east, east_west
    inverse[k + one] += e * d * g + east_west
    inverse[k + pitch] += s * d * g
    inverse[k + pitch + one] += se * d * g + west_east
    inverse[k + pitch - one] += sw * d * g + west_east + east_west


@compiled(fastmath=LOOSE)
def eliminate_9(ground, links, inverse, shares, fill, a, height, width):
    """Factor the 9-point circuit whose first pixel stands at index a."""
    pitch = width + MARGIN
    size = (-(-height // 4) * 4 + 1) * pitch
    inverse[a : a + size] = ground[a : a + size]
    for k in range(4):
        shares[k, a : a + size] = links[k, a : a + size]
    d, east, south = inverse[a:], shares[E, a:], shares[S, a:]
    south_east, south_west = shares[SE, a:], shares[SW, a:]
    first, second, p, unit = fill[0, a:], fill[1, a:], index(pitch), ground.dtype.type(1)
    for i in range(0, height, 2):
        k0 = index(i * pitch)
        k1 = k0 + index(pitch - 2)
        for j in range(index(width)):
            _eliminate_9(k0 + j, p, d, east, south, south_east, south_west, first, second, unit)
            if j > 1:
                _eliminate_9(k1 + j, p, d, east, south, south_east, south_west, first, second, unit)
        for j in range(index(max(width, 2)), index(width + 2)):
            _eliminate_9(k1 + j, p, d, east, south, south_east, south_west, first, second, unit)


@compiled(fastmath=LOOSE)
def _forward_5(east, south, b, t, a, height, width):
    pitch = width + MARGIN
    east, south, above = east[a - 1 :], south[a - pitch :], t[a - pitch :]
    b, t = b[a:], t[a:]
    for i in range(0, height, 4):
        k0 = index(i * pitch)
        k1, k2, k3 = k0 + index(pitch - 1), k0 + index(2 * pitch - 2), k0 + index(3 * pitch - 3)
        t0 = t1 = t2 = t3 = t.dtype.type(0)
        for j in range(index(width + 3)):
            t3 = (b[k3 + j] + south[k3 + j] * t2) + east[k3 + j] * t3
            t[k3 + j] = t3
            t2 = (b[k2 + j] + south[k2 + j] * t1) + east[k2 + j] * t2
            t[k2 + j] = t2
            t1 = (b[k1 + j] + south[k1 + j] * t0) + east[k1 + j] * t1
            t[k1 + j] = t1
            t0 = (b[k0 + j] + south[k0 + j] * above[k0 + j]) + east[k0 + j] * t0
            t[k0 + j] = t0


@compiled(fastmath=LOOSE)
def _backward_5(east, south, inverse, z, a, height, width):
    pitch = width + MARGIN
    east, south, inverse, below, z = east[a:], south[a:], inverse[a:], z[a + pitch :], z[a:]
    for i in range((height - 1) // 4 * 4, -1, -4):
        k0 = index(i * pitch + width + 2)
        k1, k2, k3 = k0 + index(pitch - 1), k0 + index(2 * pitch - 2), k0 + index(3 * pitch - 3)
        z0 = z1 = z2 = z3 = z.dtype.type(0)
        for j in range(index(width + 3)):
            z0 = (z[k0 - j] * inverse[k0 - j] + south[k0 - j] * z1) + east[k0 - j] * z0
            z[k0 - j] = z0
            z1 = (z[k1 - j] * inverse[k1 - j] + south[k1 - j] * z2) + east[k1 - j] * z1
            z[k1 - j] = z1
            z2 = (z[k2 - j] * inverse[k2 - j] + south[k2 - j] * z3) + east[k2 - j] * z2
            z[k2 - j] = z2
            z3 = (z[k3 - j] * inverse[k3 - j] + south[k3 - j] * below[k3 - j]) + east[k3 - j] * z3
            z[k3 - j] = z3


@compiled(fastmath=LOOSE)
def _forward_9(east, south, south_east, south_west, b, t, a, height, width):
    pitch = width + MARGIN
    east, south = east[a - 1 :], south[a - pitch :]
    south_east, south_west = south_east[a - pitch - 1 :], south_west[a - pitch + 1 :]
    right, b, t = t[a - pitch + 1 :], b[a:], t[a:]
    for i in range(0, height, 4):
        k0 = index(i * pitch)
        k1, k2, k3 = k0 + index(pitch - 2), k0 + index(2 * pitch - 4), k0 + index(3 * pitch - 6)
        zero = t.dtype.type(0)
        # of each row the newest value and the two before it: what the row below takes next
        t0, t1, t2, t3, u0, u1, u2, v0, v1, v2 = (
            zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
        )  # fmt: skip
        above, left = right[k0 - index(1)], zero
        for j in range(index(width + 6)):
            k = k3 + j
            t3 = east[k] * t3 + ((b[k] + south[k] * u2) + (south_east[k] * v2 + south_west[k] * t2))
            t[k] = t3
            k, v2, u2 = k2 + j, u2, t2
            t2 = east[k] * t2 + ((b[k] + south[k] * u1) + (south_east[k] * v1 + south_west[k] * t1))
            t[k] = t2
            k, v1, u1 = k1 + j, u1, t1
            t1 = east[k] * t1 + ((b[k] + south[k] * u0) + (south_east[k] * v0 + south_west[k] * t0))
            t[k] = t1
            k, v0, u0 = k0 + j, u0, t0
            ahead = right[k]
            t0 = east[k] * t0 + (
                (b[k] + south[k] * above) + (south_east[k] * left + south_west[k] * ahead)
            )
            t[k] = t0
            left, above = above, ahead


@compiled(fastmath=LOOSE)
def _backward_9(east, south, south_east, south_west, inverse, z, a, height, width):
    pitch = width + MARGIN
    east, south, inverse = east[a:], south[a:], inverse[a:]
    south_east, south_west = south_east[a:], south_west[a:]
    left, z = z[a + pitch - 1 :], z[a:]
    for i in range((height - 1) // 4 * 4, -1, -4):
        k0 = index(i * pitch + width + 5)
        k1, k2, k3 = k0 + index(pitch - 2), k0 + index(2 * pitch - 4), k0 + index(3 * pitch - 6)
        zero = z.dtype.type(0)
        z0, z1, z2, z3, u1, u2, u3, v1, v2, v3 = (
            zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
        )  # fmt: skip
        below, right = left[k3 + index(1)], zero
        for j in range(index(width + 6)):
            k = k0 - j
            z0 = east[k] * z0 + (
                (z[k] * inverse[k] + south[k] * u1) + (south_east[k] * v1 + south_west[k] * z1)
            )
            z[k] = z0
            k, v1, u1 = k1 - j, u1, z1
            z1 = east[k] * z1 + (
                (z[k] * inverse[k] + south[k] * u2) + (south_east[k] * v2 + south_west[k] * z2)
            )
            z[k] = z1
            k, v2, u2 = k2 - j, u2, z2
            z2 = east[k] * z2 + (
                (z[k] * inverse[k] + south[k] * u3) + (south_east[k] * v3 + south_west[k] * z3)
            )
            z[k] = z2
            k, v3, u3 = k3 - j, u3, z3
            ahead = left[k]
            z3 = east[k] * z3 + (
                (z[k] * inverse[k] + south[k] * below)
                + (south_east[k] * right + south_west[k] * ahead)
            )
            z[k] = z3
            right, below = below, ahead


@compiled(fastmath=LOOSE)
def apply(shares, inverse, b, z, a, height, width, nine):
    """z = M^-1 b; b and z may be the same array."""
    east, south, south_east, south_west = shares[E], shares[S], shares[SE], shares[SW]
    if nine:
        _forward_9(east, south, south_east, south_west, b, z, a, height, width)
        _backward_9(east, south, south_east, south_west, inverse, z, a, height, width)
    else:
        _forward_5(east, south, b, z, a, height, width)
        _backward_5(east, south, inverse, z, a, height, width)


@compiled(fastmath=LOOSE)
def leftover(fill, z, out, a, height, width, nine):
    """out = (M - A) z: what the links that were not drawn would carry."""
    pitch = width + MARGIN
    for i in range(height):
        k = a + i * pitch
        r = out[k : k + width]
        if nine:
            first_w, first_e = fill[0, k - pitch + 1 :], fill[0, k - pitch - 1 :]
            second_w, second_e = fill[1, k - 1 :], fill[1, k - pitch + 1 :]
            east, west = z[k + 2 :], z[k - 2 :]
            below, above = z[k + pitch - 2 :], z[k - pitch + 2 :]
            for j in range(width):
                r[j] = (first_w[j] * east[j] + first_e[j] * west[j]) + (
                    second_w[j] * below[j] + second_e[j] * above[j]
                )
        else:
            first, second = fill[0, k - 1 :], fill[0, k - pitch :]
            below, above = z[k + pitch - 1 :], z[k - pitch + 1 :]
            for j in range(width):
                r[j] = first[j] * below[j] + second[j] * above[j]
