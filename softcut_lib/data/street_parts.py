"""What stands in a street: cars, persons, signs, lamps, trees and bins, each painted in meters.

A car is its side profile (length, height) swept across its width; persons and signs are flat and
face the camera. Every painter takes the canvas, a place (X, Z) on the ground and random numbers.
Chapter 11.
"""

import numpy as np

from .cityscapes_labels import IDS
from .street_canvas import disc, upright

# Side profiles from tail to nose as (length, height, what the face up to the next point is).
_PROFILES = (
    [(0, 0.3, "end"), (0, 0.9, "glass"), (0.45, 1.45, "roof"), (2.1, 1.47, "glass"),
     (2.9, 0.98, "hood"), (3.9, 0.78, "end"), (3.95, 0.3, "")],
    [(0, 0.3, "end"), (0, 0.92, "hood"), (0.7, 1.0, "glass"), (1.3, 1.42, "roof"),
     (2.6, 1.42, "glass"), (3.4, 0.95, "hood"), (4.5, 0.75, "end"), (4.55, 0.3, "")],
    [(0, 0.35, "end"), (0, 1.05, "glass"), (0.25, 1.7, "roof"), (2.6, 1.75, "glass"),
     (3.3, 1.15, "hood"), (4.3, 0.98, "end"), (4.35, 0.35, "")],
    [(0, 0.35, "end"), (0, 1.2, "glass"), (0.12, 1.95, "roof"), (3.6, 1.98, "glass"),
     (4.4, 1.2, "hood"), (4.9, 0.95, "end"), (4.95, 0.35, "")],
)  # fmt: skip
_PAINTS = np.array(
    [(0.75, 0.76, 0.77), (0.9, 0.9, 0.88), (0.12, 0.13, 0.14), (0.3, 0.32, 0.35),
     (0.5, 0.08, 0.07), (0.1, 0.16, 0.35), (0.16, 0.27, 0.2), (0.62, 0.57, 0.45),
     (0.45, 0.5, 0.55), (0.72, 0.25, 0.08)]
)  # fmt: skip
_CLOTHES = np.array(
    [(0.12, 0.13, 0.17), (0.25, 0.28, 0.36), (0.55, 0.14, 0.14), (0.75, 0.73, 0.68),
     (0.2, 0.3, 0.22), (0.18, 0.25, 0.45), (0.45, 0.36, 0.28), (0.65, 0.55, 0.2)]
)  # fmt: skip
_SKIN = np.array([(0.78, 0.6, 0.48), (0.62, 0.44, 0.33), (0.42, 0.28, 0.2)])
_GLASS, _RUBBER = np.array([0.13, 0.16, 0.19]), np.array([0.06, 0.06, 0.065])


def car(canvas, x, z, number, *, away=True):
    """A car whose nearer end stands at (x, z), seen from behind or (``away=False``) from ahead."""
    rng, label = canvas.rng, IDS["car"]
    profile = _PROFILES[rng.choice(len(_PROFILES), p=(0.35, 0.3, 0.25, 0.1))]
    paint = _PAINTS[rng.integers(len(_PAINTS))] * rng.uniform(0.85, 1.1)
    half, length = rng.uniform(0.84, 0.93), profile[-1][0]
    if not away:
        kinds = [kind for _, _, kind in profile[:-1]][::-1]
        points = [(length - a, h) for a, h, _ in profile][::-1]
        profile = [(*p, k) for p, k in zip(points, [*kinds, ""])]
    left, right = x - half, x + half
    canvas.darken([(left - 0.25, 0, z - 0.2), (right + 0.25, 0, z - 0.2),
                   (right + 0.25, 0, z + length), (left - 0.25, 0, z + length)], 0.35)  # fmt: skip

    def face(corners, color):
        canvas.paint(corners, color, label=label, number=number)

    light = {"roof": 1.15, "hood": 1.1, "end": 0.8}
    under = [(left, 0.12, z + 0.1), (right, 0.12, z + 0.1), (right, 0.4, z + 0.1),
             (left, 0.4, z + 0.1)]  # fmt: skip
    for (a, h, kind), (b, g, _) in reversed(list(zip(profile, profile[1:]))):
        inset = 0.1 if kind in ("glass", "roof") else 0.0
        low, high = (inset * (v > 1.1) for v in (h, g))
        quad = [(left + low, h, z + a), (right - low, h, z + a), (right - high, g, z + b),
                (left + high, g, z + b)]  # fmt: skip
        if kind == "glass":
            face(quad, paint * 0.7)
            shrunk = np.mean(quad, 0) + 0.88 * (np.array(quad) - np.mean(quad, 0))
            face(shrunk, _GLASS * rng.uniform(0.8, 1.9))
        else:
            face(quad, paint * light[kind])
    _side(canvas, profile, left, right, z, paint, face)
    face(under, _RUBBER)
    for wheel in (left + 0.02, right - 0.24):
        face(upright([(wheel, 0), (wheel + 0.22, 0), (wheel + 0.22, 0.4), (wheel, 0.4)],
                     z + 0.05), _RUBBER)  # fmt: skip
    _end(canvas, profile, left, right, z, paint, away, face)


def _side(canvas, profile, left, right, z, paint, face):
    """The side that the camera sees: body, windows and wheels in the plane X = left or right."""
    x = left if left > 0 else right if right < 0 else None
    if x is None:
        return
    bright = canvas.rng.uniform(0.72, 0.95)
    face([(x, h, z + a) for a, h, _ in profile], paint * bright)
    cabin = [(a, h) for a, h, _ in profile if h > 0.85]
    floor = min(h for _, h in cabin) + 0.03
    window = [(a, max(floor, min(h, 1.9) - 0.09)) for a, h in cabin]
    middle = np.mean([a for a, _ in window])
    window = [(middle + 0.86 * (a - middle), h) for a, h in window]
    face([(x, h, z + a) for a, h in window], _GLASS * 1.1)
    pillar = middle + canvas.rng.uniform(-0.2, 0.2)
    top = max(h for _, h in window)
    face([(x, floor, z + pillar), (x, top, z + pillar), (x, top, z + pillar + 0.09),
          (x, floor, z + pillar + 0.09)], paint * bright)  # fmt: skip
    length = max(a for a, _, _ in profile)
    for at in (0.19 * length, 0.81 * length):
        for radius, color in ((0.34, _RUBBER), (0.2, np.array([0.5, 0.5, 0.52]))):
            angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
            face(
                [(x, 0.32 + radius * np.sin(t), z + at + radius * np.cos(t)) for t in angle], color
            )


def _end(canvas, profile, left, right, z, paint, away, face):
    """Lamps, plate and bumper on the nearer end."""
    top = profile[1][1]
    face(upright([(left, 0.3), (right, 0.3), (right, 0.48), (left, 0.48)], z), paint * 0.45)
    lamp = (0.65, 0.05, 0.04) if away else (0.95, 0.95, 0.9)
    for side in (left + 0.05, right - 0.33):
        face(upright([(side, top - 0.28), (side + 0.28, top - 0.28), (side + 0.28, top - 0.1),
                      (side, top - 0.1)], z), lamp)  # fmt: skip
    middle = (left + right) / 2
    if not away:
        face(upright([(middle - 0.4, 0.5), (middle + 0.4, 0.5), (middle + 0.4, 0.66),
                      (middle - 0.4, 0.66)], z), _RUBBER * 2)  # fmt: skip
    face(upright([(middle - 0.26, 0.38), (middle + 0.26, 0.38), (middle + 0.26, 0.49),
                  (middle - 0.26, 0.49)], z), (0.85, 0.85, 0.82))  # fmt: skip


def person(canvas, x, z, number):
    """A walking or standing person."""
    rng, label = canvas.rng, IDS["person"]
    s = rng.uniform(1.55, 1.88) / 1.75
    coat, trousers = (_CLOTHES[rng.integers(len(_CLOTHES))] * rng.uniform(0.8, 1.1) for _ in "ab")
    skin = _SKIN[rng.integers(len(_SKIN))]
    stride, lean = rng.uniform(0, 0.28), rng.uniform(-0.03, 0.03)
    canvas.darken(disc(x, 0.03, z, 0.32, tall=0.25), 0.5)

    def limb(ax, ay, bx, by, thick, thin, color):
        across, along = bx - ax, by - ay
        nx, ny = np.array([-along, across]) / np.hypot(across, along)
        corners = [
            (ax + thick * nx, ay + thick * ny),
            (bx + thin * nx, by + thin * ny),
            (bx - thin * nx, by - thin * ny),
            (ax - thick * nx, ay - thick * ny),
        ]
        points = upright([(x + s * u, s * v) for u, v in corners], z)
        canvas.paint(points, color, label=label, number=number)

    for side, shade in ((-1, 0.85), (1, 1.0)):
        foot = side * stride
        limb(0.07 * side, 0.86, 0.06 * side + 0.5 * foot, 0.46, 0.09, 0.07, trousers * shade)
        limb(0.06 * side + 0.5 * foot, 0.48, 0.05 * side + foot, 0.05, 0.07, 0.05, trousers * shade)
        limb(0.05 * side + foot - 0.04, 0.04, 0.05 * side + foot + 0.12, 0.04, 0.04, 0.03, _RUBBER)
    bend = 0.6 * stride
    limb(-0.2 + lean, 1.38, -0.24 - bend, 0.85, 0.06, 0.045, coat * 0.8)
    limb(lean, 1.46, 0, 0.8, 0.2, 0.16, coat)
    limb(0.2 + lean, 1.38, 0.24 + bend, 0.85, 0.06, 0.045, coat * 0.9)
    limb(lean, 1.44, lean, 1.54, 0.05, 0.05, skin * 0.85)
    hair = np.array([0.12, 0.09, 0.07]) * rng.uniform(0.6, 3.5)
    for up, radius, color in ((1.655, 0.115, hair), (1.63, 0.095, skin)):
        points = disc(x + s * lean, s * up, z, s * radius, tall=1.15)
        canvas.paint(points, color, label=label, number=number)
    if rng.random() < 0.3:
        bag = x + s * rng.choice([-0.26, 0.26])
        points = upright([(bag - 0.11, 0.7), (bag + 0.11, 0.7), (bag + 0.09, 1.0),
                          (bag - 0.09, 1.0)], z)  # fmt: skip
        canvas.paint(points, _CLOTHES[rng.integers(len(_CLOTHES))], label=label, number=number)


def pole(canvas, x, z, height, *, radius=0.05, color=(0.42, 0.43, 0.44)):
    """A round post: two stripes of light and shade."""
    bright = np.array(color)
    for low, high, shade in ((-1.0, 0.2, 1.05), (0.2, 1.0, 0.7)):
        a, b = x + low * radius, x + high * radius
        canvas.paint(upright([(a, 0), (b, 0), (b, height), (a, height)], z), shade * bright,
                     label=IDS["pole"])  # fmt: skip


def lamp(canvas, x, z):
    """A street lamp that reaches over the road."""
    height, reach = canvas.rng.uniform(5.5, 8), -np.sign(x) * canvas.rng.uniform(0.8, 1.8)
    pole(canvas, x, z, height, radius=0.08)
    arm = [(x, height - 0.1), (x + reach, height + 0.15), (x + reach, height + 0.25), (x, height)]
    canvas.paint(upright(arm, z), (0.4, 0.41, 0.42), label=IDS["pole"])


def sign(canvas, x, z):
    """One or two traffic signs on a post: round, triangular, square, tilted or octagonal."""
    rng = canvas.rng
    top = rng.uniform(2.3, 3.1)
    pole(canvas, x, z, top, radius=0.045)
    size, at = rng.uniform(0.36, 0.52), top
    for _ in range(1 + (rng.random() < 0.35)):
        _plate(canvas, x, at, z - 0.06, size, rng.integers(6))
        at -= 2.05 * size


def _plate(canvas, x, y, z, size, kind):
    red, white, blue = np.array([[0.74, 0.09, 0.08], [0.93, 0.92, 0.9], [0.08, 0.22, 0.56]])
    yellow, black = np.array([[0.9, 0.72, 0.1], [0.08, 0.08, 0.08]])
    rounds, layers = {"corners": 24}, {
        0: [(1.0, red), (0.74, white), (0.2, black)],
        1: [(1.0, red), (0.7, white)],
        2: [(1.0, white), (0.93, blue)],
        3: [(1.0, white), (0.8, yellow)],
        4: [(1.0, white), (0.92, red)],
        5: [(1.0, white), (0.9, blue), (0.45, white)],
    }  # fmt: skip
    outline = {
        1: {"corners": 3}, 3: {"corners": 4}, 4: {"corners": 8, "turn": np.pi / 8},
        5: {"corners": 4, "turn": np.pi / 4},
    }.get(kind, rounds)  # fmt: skip
    light = canvas.rng.uniform(0.72, 1.05)
    for share, color in layers[int(kind)]:
        points = disc(x, y, z, share * size * (1.15 if kind in (1, 5) else 1), **outline)
        canvas.paint(points, light * color, label=IDS["traffic sign"])
    if kind in (2, 4):
        half = size * np.array([0.5, 0.1])
        bar = [(x - half[0], y - half[1]), (x + half[0], y - half[1]), (x + half[0], y + half[1]),
               (x - half[0], y + half[1])]  # fmt: skip
        canvas.paint(upright(bar, z), light * white, label=IDS["traffic sign"])


def traffic_light(canvas, x, z):
    """A traffic light on a post, one lamp on."""
    rng, label = canvas.rng, IDS["traffic light"]
    top = rng.uniform(2.8, 3.3)
    pole(canvas, x, z, top, radius=0.06)
    box = [(x - 0.17, top - 0.85), (x + 0.17, top - 0.85), (x + 0.17, top), (x - 0.17, top)]
    canvas.paint(upright(box, z - 0.1), (0.07, 0.08, 0.07), label=label)
    on, colors = rng.integers(3), [(0.9, 0.12, 0.08), (0.95, 0.65, 0.1), (0.15, 0.85, 0.4)]
    for k, color in enumerate(colors):
        shade = 1.0 if k == on else 0.18
        points = disc(x, top - 0.16 - 0.26 * k, z - 0.11, 0.1)
        canvas.paint(points, shade * np.array(color), label=label)


def tree(canvas, x, z):
    """A trunk under a crown of many small leaves, brighter above."""
    rng = canvas.rng
    height, radius = rng.uniform(4.5, 8.5), rng.uniform(1.3, 2.4)
    canvas.darken(disc(x, 0.02, z, 1.2 * radius, tall=0.12), 0.6)
    trunk = [(x - 0.16, 0), (x + 0.16, 0), (x + 0.1, height - radius), (x - 0.1, height - radius)]
    label = IDS["vegetation"]
    canvas.paint(upright(trunk, z), (0.24, 0.2, 0.16), label=label)
    foliage(canvas, x, height - 0.6 * radius, z, radius, 0.9)


def foliage(canvas, x, y, z, radius, tall, *, count=160):
    """At most ``count`` overlapping tufts around (x, y), fewer far away, darker below."""
    count = int(np.clip(0.5 * radius * canvas.focal / z, 12, count))
    rng, green = canvas.rng, np.array([0.22, 0.34, 0.13]) * canvas.rng.uniform(0.7, 1.25)
    green = green + rng.uniform(-0.03, 0.04, 3)
    size = 1.9 / np.sqrt(count + 30)
    for k in range(count):
        angle, way = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * (1.1 - 0.4 * k / count)
        across, up = way * np.cos(angle), way * np.sin(angle)
        shade = 0.62 + 0.3 * k / count + 0.28 * up + rng.normal() * 0.07
        points = disc(x + radius * across, y + tall * radius * up, z,
                      radius * size * rng.uniform(0.6, 1.4), corners=9, turn=angle)  # fmt: skip
        canvas.paint(points, shade * green, label=IDS["vegetation"])


def bin_(canvas, x, z):
    """A litter bin; the label table calls such things static."""
    color = np.array([(0.2, 0.24, 0.22), (0.5, 0.28, 0.1)][canvas.rng.integers(2)])
    for low, high, shade in ((-0.26, 0.05, 1.0), (0.05, 0.26, 0.7)):
        box = [(x + low, 0), (x + high, 0), (x + high, 0.95), (x + low, 0.95)]
        canvas.paint(upright(box, z), shade * color, label=IDS["static"])
