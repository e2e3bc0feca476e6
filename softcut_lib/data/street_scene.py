"""Composition of one synthetic street: ground, facades, sky, and what stands where.

Everything is placed in meters on a straight street between two rows of houses and painted from far
to near, so that size, occlusion and perspective agree. Chapter 11.
"""

import numpy as np

from .cityscapes_labels import IDS
from .street_canvas import CAMERA_HEIGHT, FINE, Canvas
from .street_parts import (
    bin_,
    car,
    foliage,
    lamp,
    person,
    pole,
    sign,
    traffic_light,
    tree,
)

_SKIES = np.array([(0.72, 0.78, 0.84), (0.8, 0.82, 0.83), (0.6, 0.7, 0.82), (0.85, 0.8, 0.73)])
_WALLS = np.array(
    [(0.66, 0.6, 0.5), (0.55, 0.33, 0.26), (0.72, 0.7, 0.66), (0.48, 0.47, 0.46),
     (0.74, 0.62, 0.42), (0.58, 0.6, 0.55), (0.4, 0.3, 0.26), (0.68, 0.55, 0.5)]
)  # fmt: skip
_FAR, _CENTER = 140.0, -1.6


def paint_street(size, rng):
    """A picture (h, w, 3) uint8, its label numbers (h, w) uint8 and instance numbers int32."""
    sky = _SKIES[rng.integers(len(_SKIES))] * rng.uniform(0.88, 1.05)
    canvas = Canvas(size, rng, sky=sky)
    parked = rng.random(2) < 0.75
    walk = rng.uniform(2.0, 4.2, 2)
    kerbs = np.array([-1, 1]) * (3.1 + 2.1 * parked)
    walls = kerbs + np.array([-1, 1]) * walk
    houses = [_row_of_houses(rng) for _ in range(2)]
    _sky(canvas)
    _ground(canvas, kerbs, walls, houses)
    _skyline(canvas)
    things = [(z, paint) for side in (0, 1) for z, paint in _facades(canvas, side, walls, houses)]
    things += _street_furniture(canvas, kerbs, walls)
    things += _cars_and_persons(canvas, kerbs, walls, parked)
    for _, paint in sorted(things, key=lambda thing: -thing[0]):
        paint()
    _own_car(canvas)
    shade = rng.uniform(0.85, 1.12)
    picture, ids, numbers = canvas.finish(
        light=shade, tint=1 + rng.uniform(-0.04, 0.04, 3), grain=rng.uniform(0.006, 0.018)
    )
    border = max(1, round(0.008 * size[0]))
    for edge in (np.s_[:border], np.s_[-border:], np.s_[:, :border], np.s_[:, -border:]):
        ids[edge], numbers[edge] = IDS["out of roi"], 0
    return picture, ids, numbers


def _sky(canvas):
    h, w = canvas.size
    clouds = np.clip(canvas.noise((h, w), (0.05 * h, 0.15 * h)), -1, 2)[..., None]
    height = np.clip(1 - np.arange(h) / canvas.y0, 0, 1)[:, None, None]
    canvas.colors[:] = canvas.haze * (1.06 - 0.16 * height) + 0.035 * clouds
    canvas.ids[:] = IDS["sky"]


def _ground(canvas, kerbs, walls, houses):
    """Asphalt with markings, kerbs, slabs, and the shadow of the houses on the sunny side."""
    rng = canvas.rng
    first, x, z = canvas.ground()
    x = x - _CENTER
    table = canvas.noise((256, 256), 1.6)
    rough = table[(z * 5).astype(int) % 256, (x * 9).astype(int) % 256]
    stains = canvas.noise((256, 256), 9.0)[(z * 4).astype(int) % 256, (x * 12).astype(int) % 256]
    fine = np.clip(14 / z, 0, 1)
    road = (x > kerbs[0]) & (x < kerbs[1])
    walk = ~road & (x > walls[0]) & (x < walls[1])
    asphalt = rng.uniform(0.27, 0.4) * (1 + 0.05 * rough * fine + 0.05 * stains)
    slab = (np.abs(x) % 0.75 < 0.05) | (z % 0.75 < 0.05)
    paving = rng.uniform(0.42, 0.56) * (
        1 + 0.05 * rough * fine + 0.04 * stains - 0.16 * slab * fine
    )
    gray = np.where(road, asphalt, paving)
    edge = np.minimum(np.abs(x - kerbs[0]), np.abs(x - kerbs[1]))
    gray = np.where(walk & (edge < 0.16), 0.62, gray)
    gray = np.where(road & (edge < 0.12), 0.75 * gray, gray)
    marked = (np.abs(x) < 0.07) & (z % 6 < 3)
    if rng.random() < 0.4:  # a crossing
        at = rng.uniform(9, 25)
        marked |= (np.abs(z - at) < 1.5) & (x % 1.0 < 0.5)
    worn = 0.8 + 0.15 * rough
    gray = np.where(road & marked, np.clip(0.78 * worn, 0.45, 0.85), gray)
    color = gray[..., None] * np.array([1.0, 0.995, 0.98])
    grass = ~road & ~walk
    green = np.array([0.3, 0.4, 0.17]) * (1 + 0.15 * rough + 0.1 * stains)[..., None]
    color = np.where(grass[..., None], green, color)
    color = color * _house_shadow(rng, x, z, walls, houses)[..., None]
    clear = np.exp(-z / 260.0)[..., None]
    canvas.colors[first:] = clear * color + (1 - clear) * canvas.haze
    canvas.ids[first:] = np.select(
        [road, walk], [IDS["road"], IDS["sidewalk"]], default=IDS["terrain"]
    )


def _house_shadow(rng, x, z, walls, houses):
    """Brightness 1 in the sun, less where the houses of one side stand before it."""
    if rng.random() < 0.3:
        return np.ones_like(x)
    side, slope, dark = rng.integers(2), rng.uniform(0.15, 0.8), rng.uniform(0.5, 0.75)
    ends = np.array([end for _, end, _, _ in houses[side]])
    heights = np.array([height for _, _, height, _ in houses[side]])
    reach = slope * heights[np.searchsorted(ends, z.clip(max=ends[-1]))]
    return np.where(np.abs(x - walls[side]) < reach, dark, 1.0)


def _row_of_houses(rng):
    """Houses (start, end, height, look) along one side; height 0 is a gap."""
    houses, z = [], 0.5
    while z < _FAR:
        length = rng.uniform(9, 20)
        gap = rng.random() < 0.18
        look = (_WALLS[rng.integers(len(_WALLS))] * rng.uniform(0.8, 1.1), rng.integers(2**31))
        houses.append((z, z + length, 0.0 if gap else rng.uniform(6.5, 19), look))
        z += length
    return houses


def _facades(canvas, side, walls, houses):
    """Painters of the houses of one side, each with the distance of its nearer end."""
    x, way = walls[side] + _CENTER, (-1, 1)[side]
    bright = canvas.rng.uniform(0.7, 1.0)
    for start, end, height, (color, seed) in houses[side]:
        if height:
            yield end - 0.1, _house(canvas, x, way, start, end, height, bright * color, seed)
        else:
            yield end - 0.1, _hedge(canvas, x, way, start, end)


def _house(canvas, x, way, start, end, height, color, seed):
    def paint():
        wall = [(x, 0, start), (x + 9 * way, 0, start), (x + 9 * way, height, start),
                (x, height, start)]  # fmt: skip
        canvas.paint(wall, 0.75 * color, label=IDS["building"])
        near = max(start, 1.2)
        front = [(x, 0, near), (x, 0, end), (x, height, end), (x, height, near)]
        canvas.paint(front, _facade(canvas, x, start, height, color, seed), label=IDS["building"])
        eave = [(x, height - 0.4, near), (x, height - 0.4, end), (x, height, end),
                (x, height, near)]  # fmt: skip
        canvas.paint(eave, 0.55 * color, label=IDS["building"])

    return paint


def _facade(canvas, x, start, height, color, seed):
    """Colors of a front in the plane X = x: storeys of windows above shops, and masonry."""
    rng = np.random.default_rng(seed)
    bay, storey, first = rng.uniform(1.8, 3.2), rng.uniform(2.8, 3.4), rng.uniform(3.2, 4.2)
    wide, tall = rng.uniform(0.3, 0.55), rng.uniform(0.45, 0.62)
    panes = rng.uniform(0.08, 0.5, (64, 64))
    shop = rng.random() < 0.6
    awning = np.array([(0.6, 0.1, 0.1), (0.12, 0.2, 0.45), (0.75, 0.68, 0.2), (0.2, 0.35, 0.25)])
    band = awning[rng.integers(4)] * rng.uniform(0.7, 1.1)
    masonry = canvas.noise((128, 128), (0.6, 1.8))

    def colors(px, py):
        z = canvas.focal * x / np.where(px == canvas.x0, 1e-6, px - canvas.x0)
        y = CAMERA_HEIGHT - (py - canvas.y0) * z / canvas.focal
        u, v = (z - start) / bay, (y - first) / storey
        across, up = u % 1, v % 1
        upper = (v > 0) & (y < height - 0.7)
        window = upper & (np.abs(across - 0.5) < wide / 2) & (np.abs(up - 0.5) < tall / 2)
        frame = (
            upper & (np.abs(across - 0.5) < wide / 2 + 0.05) & (np.abs(up - 0.5) < tall / 2 + 0.04)
        )
        cell = panes[np.floor(u).astype(int) % 64, np.floor(v).astype(int) % 64]
        stone = 1 + 0.06 * masonry[(y * 6).astype(int) % 128, (z * 6).astype(int) % 128]
        base = color * (stone * np.where(y < 0.6, 0.75, 1.0))[:, None]
        base = np.where(frame[:, None], np.minimum(base * 1.25, 0.95), base)
        if shop:
            glass = (v < 0) & (y > 0.5) & (y < first - 0.8) & (np.abs(u % 1 - 0.5) < 0.42)
            named = (v < 0) & (y > first - 0.75) & (y < first - 0.1)
            base = np.where(named[:, None], band, base)
            window = window | glass
        return np.where(window[:, None], cell[:, None] * np.array([0.8, 0.95, 1.1]), base)

    return colors


def _hedge(canvas, x, way, start, end):
    """A gap between houses: trees behind a wall of leaves."""
    rng = canvas.rng

    def paint():
        for z in np.linspace(end - 1, max(start, 6) + 1, 3):
            if z > 6:
                foliage(canvas, x + way * rng.uniform(1.5, 4), rng.uniform(1, 2.5), z,
                        rng.uniform(1.6, 3), 1.0, count=90)  # fmt: skip

    return paint


def _skyline(canvas):
    """The far end of the street: houses or trees across it."""
    rng, z = canvas.rng, _FAR
    open_end = rng.random() < 0.5
    for x in np.arange(-70, 70, 7.0):
        height = rng.uniform(2, 6) if open_end else rng.uniform(6, 15)
        color = _WALLS[rng.integers(len(_WALLS))] * 0.8
        box = [(x, 0, z), (x + 7, 0, z), (x + 7, height, z), (x, height, z)]
        canvas.paint(box, color, label=IDS["building"])
        if rng.random() < 0.6:
            foliage(canvas, x, 3, z - 5, rng.uniform(3, 5), 0.8, count=25)


def _street_furniture(canvas, kerbs, walls):
    """Trees, lamps, signs, lights, posts and bins near the kerbs."""
    rng, things = canvas.rng, []

    def add(paint, x, z, *rest):
        things.append((z, lambda: paint(canvas, x + _CENTER, z, *rest)))

    for side, way in ((0, -1), (1, 1)):
        kerb, wall = kerbs[side], walls[side]
        if rng.random() < 0.6:
            for z in np.arange(rng.uniform(9, 18), 90, rng.uniform(9, 16)):
                if rng.random() < 0.7:
                    add(tree, kerb + way * 0.9, z)
        for z in np.arange(rng.uniform(8, 25), 100, rng.uniform(24, 32)):
            add(lamp, kerb + way * 0.4, z)
        for _ in range(rng.integers(1, 5)):
            add(
                sign, kerb + way * rng.uniform(0.35, 0.6), rng.uniform(5.5, 16) * rng.choice([1, 2])
            )
        if rng.random() < 0.35:
            add(traffic_light, kerb + way * 0.5, rng.uniform(9, 30))
        for _ in range(rng.integers(0, 3)):
            add(bin_, wall - way * 0.5, rng.uniform(7, 30))
        if rng.random() < 0.3:
            for z in np.arange(7, 30, 2.0):
                add(pole, kerb + way * 0.25, z, 0.9)
    return things


def _cars_and_persons(canvas, kerbs, walls, parked):
    """Cars along the kerbs and in both lanes, persons on the pavement and on the road."""
    rng, places, things = canvas.rng, [], []
    for side, way in ((0, -1), (1, 1)):
        if parked[side]:
            z = rng.uniform(4, 14)
            while z < 70:
                if rng.random() < 0.7:
                    places.append((kerbs[side] - way * rng.uniform(1.0, 1.2), z, side == 1))
                z += rng.uniform(5.4, 7.5)
    for lane, away in ((1.6, True), (-1.6, False)):
        for z in np.cumsum(rng.uniform(9, 40, rng.integers(0, 4))):
            places.append((lane + rng.uniform(-0.2, 0.2), 3 + z, away))
    for k, (x, z, away) in enumerate(places):
        number = 1000 * IDS["car"] + k
        things.append(
            (z, lambda x=x, z=z, n=number, a=away: car(canvas, x + _CENTER, z, n, away=a))
        )
    for k in range(rng.integers(2, 11)):
        side = rng.integers(2)
        between = rng.uniform(0.25, 0.9)
        x = kerbs[side] + between * (walls[side] - kerbs[side])
        z = rng.uniform(5.5, 14) * rng.choice([1, 1, 2, 3])
        if rng.random() < 0.12:
            x, z = rng.uniform(kerbs[0], kerbs[1]), rng.uniform(9, 30)
        number = 1000 * IDS["person"] + k
        things.append((z, lambda x=x, z=z, n=number: person(canvas, x + _CENTER, z, n)))
    return things


def _own_car(canvas):
    """The hood of the car that carries the camera, at the bottom of the picture; it is void."""
    h, w = canvas.size
    rise, middle = h * canvas.rng.uniform(0.05, 0.1), w * canvas.rng.uniform(0.45, 0.55)
    x = np.linspace(-0.05 * w, 1.05 * w, 40)
    curve = h - rise * (1 - 0.6 * ((x - middle) / (0.6 * w)) ** 2)
    outline = np.stack([[*x, 1.1 * w, -0.1 * w], [*curve, h + FINE, h + FINE]], 1)
    shade = canvas.rng.uniform(0.1, 0.3)

    def colors(px, py):
        return (shade + 0.25 * np.clip((h - py) / rise, 0, 1) ** 2)[:, None] * np.ones(3)

    canvas.fill(outline, colors, IDS["ego vehicle"])
