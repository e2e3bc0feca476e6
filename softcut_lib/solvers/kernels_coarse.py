"""Coarse circuits for the fused V-cycle: every second pixel, joined as the fine grid conducts.

The pixels (2I, 2J) stay. The others follow them, each by the voltage it would take if it drew no
current (Dendy's operator-dependent interpolation, chapter 6):

    between two kept pixels of a row or column:  x = (w_1 x_1 + w_2 x_2) / (w_1 + w_2 + ground),
    in the middle of four:                       x = sum_q w_q x_q / (sum_q w_q + ground),

where w_1, w_2 add up the links to each side. So x = P x_c, and the part that is missing from a row
of P to 1, its `leak`, went to ground. The coarse circuit is the Galerkin product P' A P, taken
link by link: a link w between p and q sees d = sum over kept pixels i of (P_pi - P_qi) x_i, ground
counting as one more pixel of voltage 0, and since these coefficients d_i add up to 0,

    w d^2 = sum over pairs of  (-w d_i d_j) (x_i - x_j)^2.

Links stay links, in float32 too; the few conductances below 0 are left out. Source: Dendy 1982,
"Black box multigrid".
"""

from softcut_lib.solvers.compiling import LOOSE, compiled
from softcut_lib.solvers.kernels_elimination import MARGIN, SE, SW, E, S

WEST, EAST, NORTH, SOUTH, NW, NE, SOUTHWEST, SOUTHEAST = range(8)  # rows of `parts`
ROW, COLUMN, MIDDLE = range(3)  # rows of `leaks`: between two in a row, in a column, in the middle


@compiled(fastmath=LOOSE)
def _between(first, second, leak, ground, one):
    """Turn links to two sides into parts of 1 and what leaks to ground."""
    for j in range(len(first)):
        total = first[j] + second[j] + ground[2 * j]
        total = one / total if total > 0 else total
        first[j] *= total
        second[j] *= total
        leak[j] = ground[2 * j] * total


@compiled(fastmath=LOOSE)
def interpolate(ground, links, parts, leaks, a, height, width, c, nine):
    """P of the level at index a, written as `parts` and `leaks` in the layout of the one at c."""
    pitch, columns = width + MARGIN, (width + 1) // 2
    coarse, n, one = columns + MARGIN, width // 2, ground.dtype.type(1)
    for i in range((height + 1) // 2):  # pixels (2i, 2j + 1)
        k, q = a + 2 * i * pitch, c + i * coarse
        west, east = parts[WEST, q : q + n], parts[EAST, q : q + n]
        e = links[E, k:]
        for j in range(n):
            west[j], east[j] = e[2 * j], e[2 * j + 1]
        if nine:
            se, sw = links[SE, k:], links[SW, k:]
            se_above, sw_above = links[SE, k - pitch :], links[SW, k - pitch :]
            for j in range(n):
                west[j] += se_above[2 * j] + sw[2 * j + 1]
                east[j] += sw_above[2 * j + 2] + se[2 * j + 1]
        _between(west, east, leaks[ROW, q:], ground[k + 1 :], one)
    for i in range(height // 2):  # pixels (2i + 1, 2j)
        k, q = a + (2 * i + 1) * pitch, c + i * coarse
        north, south = parts[NORTH, q : q + columns], parts[SOUTH, q : q + columns]
        s, s_above = links[S, k:], links[S, k - pitch :]
        for j in range(columns):
            north[j], south[j] = s_above[2 * j], s[2 * j]
        if nine:
            se, sw = links[SE, k:], links[SW, k:]
            se_above, sw_above = links[SE, k - pitch - 1 :], links[SW, k - pitch :]
            for j in range(columns):
                north[j] += se_above[2 * j] + sw_above[2 * j + 1]
                south[j] += sw[2 * j] + se[2 * j]
        _between(north, south, leaks[COLUMN, q:], ground[k:], one)
    for i in range(height // 2):
        k, q = a + (2 * i + 1) * pitch, c + i * coarse
        _middle(ground, links, parts, leaks, k, pitch, n, q, coarse, nine, one)


@compiled(fastmath=LOOSE)
def _middle(ground, links, parts, leaks, k, pitch, n, q, coarse, nine, one):
    """One row of pixels (2i + 1, 2j + 1): the mean over all neighbors, themselves interpolated."""
    e, s, s_above, g = links[E, k:], links[S, k:], links[S, k - pitch :], ground[k:]
    west, east, north, south = parts[WEST, q:], parts[EAST, q:], parts[NORTH, q:], parts[SOUTH, q:]
    west_below, east_below = parts[WEST, q + coarse :], parts[EAST, q + coarse :]
    row, column, row_below = leaks[ROW, q:], leaks[COLUMN, q:], leaks[ROW, q + coarse :]
    nw, ne = parts[NW, q : q + n], parts[NE, q : q + n]
    sw, se, leak = parts[SOUTHWEST, q : q + n], parts[SOUTHEAST, q : q + n], leaks[MIDDLE, q:]
    for j in range(n):
        m = 2 * j + 1
        to_west, to_east, up, down = e[m - 1], e[m], s_above[m], s[m]
        nw[j] = to_west * north[j] + up * west[j]
        ne[j] = to_east * north[j + 1] + up * east[j]
        sw[j] = to_west * south[j] + down * west_below[j]
        se[j] = to_east * south[j + 1] + down * east_below[j]
        leak[j] = (g[m] + to_west * column[j] + to_east * column[j + 1]) + (
            up * row[j] + down * row_below[j]
        )
    if nine:
        link_se, link_sw = links[SE, k:], links[SW, k:]
        se_above, sw_above = links[SE, k - pitch :], links[SW, k - pitch :]
        for j in range(n):
            m = 2 * j + 1
            nw[j] += se_above[m - 1]
            ne[j] += sw_above[m + 1]
            sw[j] += link_sw[m]
            se[j] += link_se[m]
    for j in range(n):
        total = ((nw[j] + ne[j]) + (sw[j] + se[j])) + leak[j]
        total = one / total if total > 0 else total
        nw[j] *= total
        ne[j] *= total
        sw[j] *= total
        se[j] *= total
        leak[j] *= total


@compiled(fastmath=LOOSE)
def _split(w, a, b, c, d, leak, sums):
    """Add -w d_i d_j for the six pairs of corners a b c d, then for each corner with the ground."""
    return (
        sums[0] - w * a * b,
        sums[1] - w * a * c,
        sums[2] - w * a * d,
        sums[3] - w * b * c,
        sums[4] - w * b * d,
        sums[5] - w * c * d,
        sums[6] - w * a * leak,
        sums[7] - w * b * leak,
        sums[8] - w * c * leak,
        sums[9] - w * d * leak,
    )


@compiled(fastmath=LOOSE)
def galerkin(ground, links, parts, leaks, a, height, width, c, nine, room):
    """Links and ground of the coarse level at index c, both 0 before, from the level at a."""
    pitch, columns = width + MARGIN, (width + 1) // 2
    coarse, n, one = columns + MARGIN, width // 2, ground.dtype.type(1)
    for i in range((height + 1) // 2):
        k, q = a + 2 * i * pitch, c + i * coarse
        g, out = ground[k:], ground[q:]
        for j in range(columns):
            out[j] += g[2 * j]
        _chain(
            links[E, k:], links[E, k + 1 :], g[1:], parts[WEST, q:], parts[EAST, q:],
            leaks[ROW, q:], links[E, q:], ground[q : q + n], ground[q + 1 : q + 1 + n], room, one,
        )  # fmt: skip
    for i in range(height // 2):
        k, q = a + 2 * i * pitch, c + i * coarse
        _chain(
            links[S, k:], links[S, k + pitch :], ground[k + pitch :], parts[NORTH, q:],
            parts[SOUTH, q:], leaks[COLUMN, q:], links[S, q:], ground[q : q + columns],
            ground[q + coarse : q + coarse + columns], room, one,
        )  # fmt: skip
        _cells(ground, links, parts, leaks, k, pitch, n, q, coarse, nine, room, one)
        for pair, (row, start) in enumerate(
            ((E, q), (S, q), (SE, q), (SW, q + 1), (S, q + 1), (E, q + coarse))
        ):
            out, more = links[row, start : start + n], room[pair]
            for j in range(n):
                out[j] += more[j]
        for corner, start in enumerate((q, q + 1, q + coarse, q + coarse + 1)):
            out, more = ground[start : start + n], room[6 + corner]
            for j in range(n):
                out[j] += more[j]


@compiled(fastmath=LOOSE)
def _chain(first, second, middle, part, other, leak, link, here, there, room, one):
    """Two links in a row with a pixel between them that is interpolated."""
    to_here, to_there = room[0], room[1]
    for j in range(len(here)):
        w, v, g = first[2 * j], second[2 * j], middle[2 * j]
        x, y, z = part[j], other[j], leak[j]
        link[j] += w * (y + z) * y + v * x * (x + z) - g * x * y
        to_here[j] = z * (w * (y + z) - v * x) + g * x * (one - z)
        to_there[j] = z * (v * (x + z) - w * y) + g * y * (one - z)
    for j in range(len(here)):
        here[j] += to_here[j]
    for j in range(len(here)):
        there[j] += to_there[j]


@compiled(fastmath=LOOSE)
def _cells(ground, links, parts, leaks, k, pitch, n, q, coarse, nine, room, one):
    """The links inside one row of cells of four corners, (a b) above (c d), into `room`."""
    e, g = links[E, k + pitch :], ground[k + pitch :]
    s, s_below = links[S, k:], links[S, k + pitch :]
    west, east, west_below, east_below = (
        parts[WEST, q:], parts[EAST, q:], parts[WEST, q + coarse :], parts[EAST, q + coarse :]
    )  # fmt: skip
    north, south = parts[NORTH, q:], parts[SOUTH, q:]
    row, row_below, column, middle = (
        leaks[ROW, q:], leaks[ROW, q + coarse :], leaks[COLUMN, q:], leaks[MIDDLE, q:]
    )  # fmt: skip
    nw, ne, sw, se = parts[NW, q:], parts[NE, q:], parts[SOUTHWEST, q:], parts[SOUTHEAST, q:]
    zero = one - one
    link_se, link_sw = links[SE, k:], links[SW, k:]
    se_below, sw_below = links[SE, k + pitch :], links[SW, k + pitch :]
    r0, r1, r2, r3, r4, r5, r6, r7, r8, r9 = (
        room[0], room[1], room[2], room[3], room[4], room[5], room[6], room[7], room[8], room[9]
    )  # fmt: skip
    for j in range(n):
        m = 2 * j + 1
        a, b, c, d, f = nw[j], ne[j], sw[j], se[j], middle[j]
        t = (zero, zero, zero, zero, zero, zero, zero, zero, zero, zero)
        t = _split(e[m - 1], a - north[j], b, c - south[j], d, f - column[j], t)
        t = _split(e[m], a, b - north[j + 1], c, d - south[j + 1], f - column[j + 1], t)
        t = _split(s[m], a - west[j], b - east[j], c, d, f - row[j], t)
        t = _split(s_below[m], a, b, c - west_below[j], d - east_below[j], f - row_below[j], t)
        t = _split(g[m], a, b, c, d, f - one, t)
        r0[j], r1[j], r2[j], r3[j], r4[j], r5[j], r6[j], r7[j], r8[j], r9[j] = t
    if not nine:
        return
    for j in range(n):
        m = 2 * j + 1
        a, b, c, d, f = nw[j], ne[j], sw[j], se[j], middle[j]
        t = r0[j], r1[j], r2[j], r3[j], r4[j], r5[j], r6[j], r7[j], r8[j], r9[j]
        t = _split(link_se[m - 1], a - one, b, c, d, f, t)
        t = _split(link_sw[m + 1], a, b - one, c, d, f, t)
        t = _split(sw_below[m], a, b, c - one, d, f, t)
        t = _split(se_below[m], a, b, c, d - one, f, t)
        t = _split(link_sw[m], west[j] - north[j], east[j], -south[j], zero, row[j] - column[j], t)
        t = _split(
            link_se[m], west[j], east[j] - north[j + 1], zero, -south[j + 1],
            row[j] - column[j + 1], t,
        )  # fmt: skip
        t = _split(
            se_below[m - 1], -north[j], zero, west_below[j] - south[j], east_below[j],
            row_below[j] - column[j], t,
        )  # fmt: skip
        t = _split(
            sw_below[m + 1], zero, -north[j + 1], west_below[j], east_below[j] - south[j + 1],
            row_below[j] - column[j + 1], t,
        )  # fmt: skip
        r0[j], r1[j], r2[j], r3[j], r4[j], r5[j], r6[j], r7[j], r8[j], r9[j] = t


@compiled(fastmath=LOOSE)
def restrict(parts, r, b, a, height, width, c):
    """b = P' r on the coarse level at index c."""
    pitch, columns = width + MARGIN, (width + 1) // 2
    coarse = columns + MARGIN
    for i in range((height + 1) // 2):
        k, q = a + 2 * i * pitch, c + i * coarse
        above, here, below = r[k - pitch - 1 :], r[k - 1 :], r[k + pitch - 1 :]
        west, east = parts[WEST, q:], parts[EAST, q - 1 :]
        north, south = parts[NORTH, q:], parts[SOUTH, q - coarse :]
        nw, ne = parts[NW, q:], parts[NE, q - 1 :]
        sw, se = parts[SOUTHWEST, q - coarse :], parts[SOUTHEAST, q - coarse - 1 :]
        out = b[q : q + columns]
        for j in range(columns):
            m = 2 * j + 1
            out[j] = (here[m] + here[m + 1] * west[j] + here[m - 1] * east[j]) + (
                below[m] * north[j] + below[m + 1] * nw[j] + below[m - 1] * ne[j]
            ) + (above[m] * south[j] + above[m + 1] * sw[j] + above[m - 1] * se[j])  # fmt: skip


@compiled(fastmath=LOOSE)
def prolong(parts, coarse_z, z, a, height, width, c):
    """Add P z of the coarse level at index c to z of the fine level at a (in the same array)."""
    pitch, columns = width + MARGIN, (width + 1) // 2
    coarse, n = columns + MARGIN, width // 2
    for i in range((height + 1) // 2):
        k, q = a + 2 * i * pitch, c + i * coarse
        out, x = z[k : k + width], coarse_z[q : q + columns + 1]
        west, east = parts[WEST, q : q + n], parts[EAST, q : q + n]
        for j in range(n):
            out[2 * j] += x[j]
            out[2 * j + 1] += west[j] * x[j] + east[j] * x[j + 1]
        if width % 2:
            out[width - 1] += x[n]
        if 2 * i + 1 == height:
            break
        out = z[k + pitch : k + pitch + width]
        y = coarse_z[q + coarse : q + coarse + columns + 1]
        north, south = parts[NORTH, q : q + columns], parts[SOUTH, q : q + columns]
        nw, ne = parts[NW, q : q + n], parts[NE, q : q + n]
        sw, se = parts[SOUTHWEST, q : q + n], parts[SOUTHEAST, q : q + n]
        for j in range(n):
            out[2 * j] += north[j] * x[j] + south[j] * y[j]
            out[2 * j + 1] += (nw[j] * x[j] + ne[j] * x[j + 1]) + (sw[j] * y[j] + se[j] * y[j + 1])
        if width % 2:
            out[width - 1] += north[n] * x[n] + south[n] * y[n]
