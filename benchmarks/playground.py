"""Time the playground's frames: `python -m benchmarks.playground --help`.

A headless Chromium opens the page and is kept busy as by a reader: in every frame the pen draws on,
a slider moves, or both, on a grid of 160 x 120 pixels. Recorded for each method: the time to solve
and draw a frame, and the time from one frame to the next, which cannot be less than the display's
1/60 s. The results go to book/results/playground.json.

It needs Debian's chromium and playwright (the extra `dev`).
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

from softcut_lib.show.playground_page import playground_html
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import write_json
from tests.browser.chromium import launched, missing, opened

from .measure import spread

OUTPUT = Path(__file__).parents[1] / "book" / "results" / "playground.json"
METHODS = ("soft-cut", "min-cut", "random-walker")
GOAL = 33.0  # milliseconds, the median frame
HOST = "document.querySelector('.softcut-playground')"

# moves the page's own controls; resolves to the milliseconds of work and between frames
DRIVE = """async ([method, frames]) => {
    const host = document.querySelector('.softcut-playground'), play = host.playground;
    const root = host.shadowRoot, pen = root.querySelector('canvas.scribble');
    const names = ['sigma', 'ground', 'strength'].slice(0, method === 'random-walker' ? 1 : 3);
    const next = () => new Promise(requestAnimationFrame);
    play.state.method = method;
    play.change();
    await next(); await next();
    const box = pen.getBoundingClientRect(), between = [];
    const point = (kind, k) => pen.dispatchEvent(new PointerEvent(kind, {
        pointerId: 1, bubbles: true, button: kind === 'pointermove' ? -1 : 0,
        clientX: box.left + box.width * (0.5 + 0.12 * Math.cos(k / 40)),
        clientY: box.top + box.height * (0.4 + 0.12 * Math.sin(k / 40)) }));
    pen.setPointerCapture = () => {};
    play.work.length = 0;
    let last = await next();
    for (let k = 0; k < frames; k++) {
        if (k % 100 === 0) point('pointerdown', k);
        if (k % 100 < 50) point('pointermove', k);
        if (k % 100 === 50) point('pointerup', k);
        if (k % 100 >= 40) {
            const name = names[Math.floor(k / 20) % names.length];
            const slider = root.querySelector(`input[data-name=${name}]`);
            slider.value = Number(slider.value) + (k % 40 < 20 ? 2 : -2);
            slider.dispatchEvent(new Event('input'));
        }
        const now = await next();
        between.push(now - last);
        last = now;
    }
    await next();
    return { work: play.work.slice(0, frames), between };
}"""


def parse(argv):
    parser = argparse.ArgumentParser("python -m benchmarks.playground", description=__doc__)
    parser.add_argument("--frames", type=int, default=300, help="of each method")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    return parser.parse_args(argv)


def measure(frames):
    """(rows, grid, the browser's version)."""
    with launched() as browser, opened(browser, html=f"<body>{playground_html()}</body>") as page:
        page.wait_for_function(f"{HOST}?.playground?.work.length > 0")
        grid = page.evaluate(f"[{HOST}.playground.circuit.h, {HOST}.playground.circuit.w]")
        rows = []
        for method in METHODS:
            page.evaluate(DRIVE, [method, 30])  # compiled by the browser before the clock starts
            times = page.evaluate(DRIVE, [method, frames])
            rows.append(
                {
                    "method": method,
                    "frames": len(times["work"]),
                    "work_ms": spread(times["work"]),
                    "between_ms": spread(times["between"]),
                }
            )
        if page.errors:
            raise RuntimeError(f"the page showed errors: {page.errors[:3]}")
        return rows, grid, browser.version


def main(argv=None):
    options = parse(sys.argv[1:] if argv is None else argv)
    if missing():
        sys.exit(missing())
    command = shlex.join(["python", "-m", "benchmarks.playground", *(argv or sys.argv[1:])])
    started = time.monotonic()
    rows, grid, version = measure(options.frames)
    content = {
        "schema": 1,
        "about": "frames of the playground in headless Chromium",
        "goal_ms": GOAL,
        "grid": grid,
        "browser": f"Chromium {version}, without a GPU",
        "machine": describe_machine(),
        "sessions": [describe_session(command)],
        "wall_time_s": round(time.monotonic() - started, 1),
        "rows": rows,
    }
    write_json(options.output, content)
    for row in rows:
        work, between = row["work_ms"]["median"], row["between_ms"]["median"]
        print(f"{row['method']}: {work:g} ms of work, {between:g} ms from frame to frame (median)")
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
