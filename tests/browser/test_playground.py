"""The playground as a reader meets it: its numbers, its pens, its messages, and no request."""

import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from softcut_lib.cuts.interactive import seed_colors
from softcut_lib.show.playground_answer import LEAST, playground_answer
from softcut_lib.show.playground_page import SCRIPT, bundled_pictures, playground_html, reply
from tests.browser.chromium import DESKTOP, PHONE, opened

PLAY = "document.querySelector('.softcut-playground').playground"
METHODS = ("soft-cut", "min-cut", "random-walker")
DARK = "<style>body { background: #111; color: #ddd }</style>"


def ready(page):
    page.wait_for_function(f"{PLAY}?.work.length > 0")


def frames(page):
    """Wait until everything that has been asked for is drawn."""
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")


def page_html(style=""):
    view = '<meta name="viewport" content="width=device-width">'
    return f"<!doctype html>{view}{style}<body>{playground_html()}</body>"


@pytest.fixture
def page(browser):
    with opened(browser, html=page_html()) as page:
        ready(page)
        yield page
        outside = [a for a in page.asked if not a.startswith(("data:", "about:"))]
        assert not outside and not page.errors


@pytest.fixture(scope="module")
def numbers(browser):
    """A page in which the script's functions can be called."""
    with opened(browser, html="<p>numbers</p>") as page:
        source = base64.b64encode(SCRIPT.read_bytes()).decode()
        page.evaluate(f"import('data:text/javascript;base64,{source}').then(m => {{ pg = m }})")
        page.evaluate("""() => { from64 = t => Uint8Array.from(atob(t), c => c.charCodeAt(0));
            to64 = x => { let s = ''; for (const b of new Uint8Array(x.buffer))
                s += String.fromCharCode(b); return btoa(s); }; }""")
        yield page


def text64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def solved_in_page(page, image, steps):
    """The script's answers to (seeds, options), one after another from the state before."""
    calls = [[text64(seeds), options] for seeds, options in steps]
    answers = page.evaluate(
        """([rgb, h, w, calls]) => { const c = pg.makeCircuit(from64(rgb), h, w);
        return calls.map(([seeds, o]) => { pg.answer(c, from64(seeds), o);
            return [to64(pg.plain(c)), c.settled]; }); }""",
        [text64(image), *image.shape[:2], calls],
    )
    assert all(settled for _, settled in answers)
    return [np.frombuffer(base64.b64decode(x)).reshape(image.shape[:2]) for x, _ in answers]


def agree(image, seeds, options, x):
    """The page's answer is the library's: in volts, or as cheap a cut (ties may be broken)."""
    expected = playground_answer(image, seeds, **options)
    if options["method"] != "min-cut":
        return np.abs(x - expected).max() < 1e-4
    costs = [cost(image, seeds, options, labels > 0) for labels in (x, expected)]
    return np.isin(x, (-1, 1)).all() and abs(costs[0] - costs[1]) <= 1e-9 * costs[1]


def cost(image, seeds, options, labels):
    """The energy of a cut, from numpy alone, with the library's votes."""
    pixels = image.astype(float) / 255
    sign = np.select([seeds == 1, seeds == 0], [1.0, -1.0], 0.0)
    votes = 0.0
    if options["colors"]:
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        votes = 2 * seed_colors(tensor, torch.from_numpy(seeds).long()[None])[0, 0].numpy() - 1
    scores = options["ground"] * votes + options["strength"] * sign
    total = np.abs(scores[(scores > 0) != labels]).sum()
    for axis in (0, 1):
        squares = (np.diff(pixels, axis=axis) ** 2).sum(2)
        weights = np.maximum(np.exp(-squares / (2 * options["sigma"] ** 2)), LEAST)
        total += weights[np.diff(labels, axis=axis)].sum()
    return total


def photographs():
    """The bundled pictures on the playground's grid, with their strokes."""
    for picture in bundled_pictures():
        file = io.BytesIO(base64.b64decode(picture["url"].partition(",")[2]))
        image = np.asarray(Image.open(file).convert("RGB").resize((160, 120)))
        seeds = np.full((120, 160), 255, np.uint8)
        for label, points in picture["strokes"]:
            for (a, b), (c, d) in zip(points, points[1:]):
                for t in np.linspace(0, 1, 99):
                    row, column = (b + t * (d - b)) * 120, (a + t * (c - a)) * 160
                    seeds[int(row), int(column)] = label
        yield image, seeds


EXTREMES = [
    {"sigma": 0.08, "ground": 1e-3, "strength": 10.0, "colors": True},  # as it opens
    {"sigma": 0.03, "ground": 1e-4, "strength": 100.0, "colors": True},
    {"sigma": 0.03, "ground": 1e-4, "strength": 0.01, "colors": False},
    {"sigma": 0.5, "ground": 1e-4, "strength": 100.0, "colors": False},
    {"sigma": 0.5, "ground": 1.0, "strength": 0.01, "colors": True},
]


@pytest.mark.parametrize("method", METHODS)
def test_page_and_library_agree_at_every_end_of_the_sliders(numbers, method):
    for image, seeds in photographs():
        steps = [(seeds, {"method": method, **options}) for options in EXTREMES]
        for (_, options), x in zip(steps, solved_in_page(numbers, image, steps)):
            assert agree(image, seeds, options, x), options


def test_frames_that_start_from_the_last_one_agree_too(numbers):
    """Strokes, erasures, sliders and methods at random: voltages and flows are carried along."""
    random = np.random.default_rng(5)
    image = random.integers(0, 256, (21, 34, 3)).astype(np.uint8)
    image[:, :17] //= 3
    seeds, steps = np.full((21, 34), 255, np.uint8), []
    seeds[3, 3:9], seeds[15, 20:30] = 1, 0
    for _ in range(60):
        seeds = seeds.copy()
        row, column = random.integers(2, 19), random.integers(2, 28)
        if random.random() < 0.7:
            seeds[row, column : column + 4] = random.choice([0, 1, 255])
        seeds[0, 0], seeds[20, 33] = 1, 0
        options = {
            "method": str(random.choice(METHODS, p=[0.3, 0.5, 0.2])),
            "sigma": float(random.choice([0.08, 0.2])),
            "ground": float(10 ** random.uniform(-3, 0)),
            "strength": float(10 ** random.uniform(-1, 1)),
            "colors": bool(random.random() < 0.7),
        }
        steps.append((seeds, options))
    for (seeds, options), x in zip(steps, solved_in_page(numbers, image, steps)):
        assert agree(image, seeds, options, x), options


@pytest.mark.parametrize("size", [(8, 8), (9, 150), (61, 33)])
def test_pictures_of_any_shape(numbers, size):
    random = np.random.default_rng(1)
    image = random.integers(0, 256, (*size, 3)).astype(np.uint8)
    seeds = np.full(size, 255, np.uint8)
    seeds[0, 0], seeds[-1, -1] = 1, 0
    for method in METHODS:
        options = EXTREMES[0] | {"method": method}
        (x,) = solved_in_page(numbers, image, [(seeds, options)])
        assert agree(image, seeds, options, x)


def box(page):
    return page.locator("canvas.scribble").bounding_box()


def test_a_stroke_of_the_mouse_changes_the_mask(page):
    before = page.evaluate(f"[...{PLAY}.circuit.x]")
    page.get_by_text("Background", exact=True).click()
    area = box(page)
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + 0.4 * area["width"], middle)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.6 * area["width"], middle, steps=5)
    page.mouse.up()
    frames(page)
    seeds = np.array(page.evaluate(f"[...{PLAY}.seeds]")).reshape(120, 160)
    assert (seeds[60, 66:94] == 0).all()
    after = page.evaluate(f"[...{PLAY}.circuit.x]")
    assert np.abs(np.subtract(after, before)).max() > 0.1
    page.get_by_role("button", name="Undo").click()
    frames(page)
    assert np.abs(np.subtract(page.evaluate(f"[...{PLAY}.circuit.x]"), before)).max() < 1e-4


def test_the_keyboard_does_all(page):
    page.locator("canvas.scribble").focus()
    start = page.evaluate(f"{PLAY}.state.at")
    for key in ("b", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    at = page.evaluate(f"{PLAY}.state.at")
    assert at == start + 1 + 5 * 160
    page.keyboard.down(" ")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.keyboard.up(" ")
    page.keyboard.press("ArrowRight")
    seeds = page.evaluate(f"[...{PLAY}.seeds]")
    assert seeds[at : at + 7] == [0] * 7
    page.keyboard.press("Control+z")
    assert page.evaluate(f"[...{PLAY}.seeds]") != seeds
    page.locator("input[data-name=ground]").focus()
    value = page.evaluate(f"{PLAY}.state.ground")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{PLAY}.state.ground") > value
    page.locator(".methods input").first.focus()
    page.keyboard.press("ArrowRight")
    frames(page)
    assert page.evaluate(f"{PLAY}.state.method") == "min-cut"
    assert set(page.evaluate(f"[...{PLAY}.circuit.x]")) <= {-1, 0, 1}


def test_kirchhoff_holds_at_the_pointer(page):
    area = box(page)
    for method in ("Soft cut", "Min cut", "Random walker"):
        page.get_by_text(method, exact=True).click()
        for share in (0.01, 0.35, 0.62, 0.99):
            page.mouse.move(area["x"] + share * area["width"], area["y"] + share * area["height"])
            frames(page)
            words, total = page.locator(".circuit tr.sum td").all_inner_texts()
            assert float(total.replace("−", "-")) == pytest.approx(0, abs=1e-5), (method, words)
    assert "Pixel in row 118" in page.inner_text(".circuit h4")


def test_fingers_draw(browser):
    with opened(browser, html=page_html(), size=PHONE, touch=True) as page:
        ready(page)
        area = box(page)
        page.touchscreen.tap(area["x"] + area["width"] / 2, area["y"] + 0.9 * area["height"])
        frames(page)
        assert page.evaluate(f"{PLAY}.seeds[108 * 160 + 80]") == 1


@pytest.mark.parametrize("size", [DESKTOP, (710, 900), PHONE], ids=["desktop", "book", "phone"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_fits_and_follows_the_page(browser, size, mode):
    with opened(browser, html=page_html(DARK if mode == "dark" else ""), size=size) as page:
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.get_attribute(".softcut-playground", "data-mode") == mode
        panel, table = (page.locator(s).bounding_box() for s in (".circuit", ".circuit table"))
        assert table["x"] + table["width"] <= panel["x"] + panel["width"]
        assert page.locator("canvas").count() == 5
        for canvas in page.locator("canvas").all():
            assert len(canvas.get_attribute("aria-label")) > 10
        # the theme's switch changes the colors later
        page.evaluate("document.body.style.color = '#eee'; document.body.className = 'x'")
        page.wait_for_function("document.querySelector('[data-mode=dark]')")


def message(page):
    frames(page)
    return page.inner_text(".message")


def test_without_strokes_it_says_what_to_do(page):
    page.get_by_text("Clear").click()
    assert "Nothing is marked yet" in message(page)
    area = box(page)
    page.mouse.click(area["x"] + 50, area["y"] + 50)
    assert "mark some background" in message(page)
    page.get_by_text("Background", exact=True).click()
    page.mouse.click(area["x"] + 200, area["y"] + 200)
    assert message(page) == ""
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    assert "Nothing is marked yet" in message(page)
    assert page.locator("canvas.scribble").is_visible()


def png(width, height):
    """A PNG whose header promises so many pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(width + 1) * min(height, 20))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def offer(page, name, data, kind="image/png"):
    page.set_input_files(
        "input[type=file]", {"name": name, "mimeType": kind, "buffer": data}
    )  # fmt: skip
    page.wait_for_function(
        f"document.querySelector('.softcut-playground').shadowRoot"
        f".querySelector('.message').textContent.includes({json.dumps(name)}) || "
        f"{PLAY}.circuit.w === 40"
    )


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("huge.png", png(8_000, 8_000), "8000 × 8000 pixels, more than the 50 million"),
        ("vast.png", png(60_000, 60_000), "far too large"),
        ("broken.png", b"\x89PNG\r\n\x1a\nnothing", "damaged"),
        ("text.txt", b"no picture at all", "could not be read as a picture"),
        ("empty.png", b"", "could not be read as a picture"),
        ("line.png", png(9_000, 3), "too narrow"),
        ("heavy.bin", bytes(61_000_000), "61 MB, more than"),
    ],
)
def test_bad_files_are_explained_and_the_picture_stays(page, name, data, words):
    before = page.evaluate(f"{PLAY}.circuit.rgb.length")
    kind = "text/plain" if name.endswith("txt") else "image/png"
    if len(data) > 50_000_000:  # too much for the driver's own limit
        page.evaluate(
            f"{PLAY}.openFile(new File([new Uint8Array({len(data)})], {json.dumps(name)}))"
        )
    else:
        offer(page, name, data, kind)
    assert words in message(page)
    assert page.evaluate(f"{PLAY}.circuit.rgb.length") == before


def test_a_picture_of_ones_own(page):
    file = io.BytesIO()
    picture = np.zeros((30, 40, 4), np.uint8)
    picture[:, :20] = (200, 30, 30, 255)  # the rest is transparent: white
    Image.fromarray(picture, "RGBA").save(file, "png")
    offer(page, "own.png", file.getvalue())
    assert page.locator("select.picture").bounding_box()["width"] < 300
    assert "Nothing is marked yet" in message(page)
    rgb = np.array(page.evaluate(f"[...{PLAY}.circuit.rgb]")).reshape(30, 40, 3)
    assert rgb[5, 5].tolist() == [200, 30, 30] and rgb[5, 35].tolist() == [255] * 3
    listed = "select.picture"
    assert page.locator(f"{listed} option:checked").inner_text() == "own.png"
    for name, width in (("Coffee", 160), ("own.png", 40)):
        page.select_option(listed, label=name)
        page.wait_for_function(f"{PLAY}.circuit.w === {width}")


def test_every_bundled_picture_and_method_shows_a_mask(page):
    for k in range(len(bundled_pictures())):
        before = page.evaluate(f"{PLAY}.work.length")
        page.select_option("select.picture", str(k))
        page.wait_for_function(f"{PLAY}.work.length > {before}")
        for method in ("Min cut", "Random walker", "Soft cut"):
            page.get_by_text(method, exact=True).click()
            frames(page)
            share = page.evaluate(f"{PLAY}.circuit.x.filter(v => v > 0).length / 19200")
            assert 0.005 < share < 0.9, (k, method)
            assert message(page) == ""


WIDGET = """async ([source, pictures]) => {
    const { default: widget } = await import('data:text/javascript;base64,' + source);
    const listeners = [];
    const model = {
        get: () => pictures, on: (name, f) => listeners.push(f), off: () => {},
        send: async (request, _, buffers) => {
            const bytes = buffers.map(b => Array.from(b));
            const [message, answer] = await window.kernel(request, bytes);
            const views = answer.map(b => new DataView(new Uint8Array(b).buffer));
            listeners.forEach(f => f(message, views));
        },
    };
    const el = document.createElement('div');
    window.remove = widget.render({ model, el });
    await new Promise(r => setTimeout(r, 50));
    document.body.append(el); // as JupyterLab does: first rendered, then attached
    el.firstChild.className = 'softcut-playground';
}"""


def run_widget(page, answer):
    page.expose_function("kernel", answer)
    source = base64.b64encode(SCRIPT.read_bytes()).decode()
    page.evaluate(WIDGET, [source, bundled_pictures()[:1]])
    ready(page)


def test_in_a_notebook_the_library_answers_and_both_agree(browser):
    def kernel(request, buffers):
        message, answer = reply(request, [bytes(b) for b in buffers])
        return message, [list(b) for b in answer]

    with opened(browser, html="<body></body>") as page:
        run_widget(page, kernel)
        for method in ("Soft cut", "Min cut", "Random walker"):
            page.get_by_text(method, exact=True).click()
            frames(page)
            page.wait_for_function(f"{PLAY}.gap !== null", timeout=60_000)
            assert page.get_attribute(".softcut-playground", "data-mode") == "light"
            assert "softcut_lib answers" in page.inner_text(".status")
            assert page.evaluate(f"{PLAY}.gap") < 1e-4
        page.evaluate("remove()")
        assert page.locator("canvas").count() == 0
        assert not page.errors


def test_what_the_kernel_refuses_is_shown(browser):
    def kernel(request, buffers):
        return {"id": request["id"], "error": "sigma must be a finite number"}, []

    with opened(browser, html="<body></body>") as page:
        run_widget(page, kernel)
        page.get_by_text("softcut_lib says: sigma must be").wait_for()
