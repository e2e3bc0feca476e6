"""What `make book` adds to Jupyter Book: the key of the cache, and alternative texts."""

import json
import re

import pytest
from PIL import Image

from book import build
from book.ext import softcut_index, softcut_record
from book.ext.softcut_api import listing, one_form, public_names, to_rst
from book.ext.softcut_book import chapter_number
from book.ext.softcut_light import FILE, ICONS, as_webp, pictures_to_files, used_icons


@pytest.fixture
def tree(tmp_path):
    for name in ("softcut_lib/room/a.py", "constraints.txt", "book/results/horses.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["softcut_lib/room/a.py", "constraints.txt", "book/results/horses.json"]
)
def test_outputs_depend_on_library_versions_and_results(tree, name):
    before = build.outputs_key(tree)
    assert build.outputs_key(tree) == before
    (tree / name).write_text("2")
    assert build.outputs_key(tree) != before


def test_new_files_count_and_compiled_ones_do_not(tree):
    before = build.outputs_key(tree)
    (tree / "softcut_lib" / "room" / "a.pyc").write_text("x")
    assert build.outputs_key(tree) == before
    (tree / "softcut_lib" / "room" / "b.py").write_text("")
    assert build.outputs_key(tree) != before


def test_the_cache_is_dropped_when_the_key_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    output = tmp_path / "cache" / "old"
    for key, kept in [("a", False), ("a", True), ("b", False)]:
        output.parent.mkdir(exist_ok=True)
        output.write_text("stale")
        build.prepare_cache(key)
        assert output.exists() == kept


def test_a_failed_build_is_tried_again_and_a_good_one_is_not(tree, monkeypatch):
    monkeypatch.setattr(build, "BUILD", tree / "_build")
    monkeypatch.setattr(build, "CACHE", tree / "_build" / "cache")
    monkeypatch.setattr(build, "HTML", tree / "_build" / "html")
    monkeypatch.setattr(build, "outputs_key", lambda patterns=(): str(sorted(patterns)))
    monkeypatch.setattr(build, "environment", dict)
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)  # main() removes it; this puts it back
    monkeypatch.setattr(build, "run_notebooks", lambda: {"01_cut": 1.0})
    monkeypatch.setattr(build.vendor, "provide", lambda package: tree)
    monkeypatch.setattr(build.colab, "write", list)
    calls = []

    def make_html(status):
        def made():
            calls.append(status)
            (tree / "_build" / "html").mkdir(parents=True, exist_ok=True)
            (tree / "_build" / "html" / "index.html").write_text("<p>")
            return status

        return made

    for status, failed in [(1, True), (1, True), (0, False), (1, False)]:
        monkeypatch.setattr(build, "make_html", make_html(status))
        assert bool(build.main()) == failed
    assert calls == [1, 1, 0], "only the finished build may be kept"


def test_the_real_key_covers_every_file_of_the_library():
    names = {path.name for path in build.inputs()}
    assert {"softcut.py", "edges.py", "constraints.txt", "papers.json"} <= names


def test_images_without_alt_are_found():
    html = '<img src="a.png" alt="A cat."><img src="b.png"><img src="c.png" alt="../c.png">'
    assert build.images_without_alt(html) == ["b.png", "c.png"]


@pytest.mark.parametrize(
    ("docname", "number"),
    [("notebooks/09_losses", "9"), ("notebooks/A1_receptive_field", "A1"), ("book/index", None)],
)
def test_chapters_are_numbered_by_their_files(docname, number):
    assert chapter_number(docname) == number


def test_docstrings_become_text_and_equations():
    lines = [
        "First |a| and *b* with `c_d`.",
        "",
        "    x_k = A y",
        "",
        "Args:",
        "    p: of *grid",
        "",
    ]
    assert to_rst(lines) == [
        r"First \|a\| and \*b\* with ``c_d``.", "", "", "::", "", "    x_k = A y", "",
        "Args:", r"    p: of \*grid", "",
    ]  # fmt: skip


def test_both_forms_of_sections_become_one():
    underlined = [
        "Text.", "", "Parameters", "----------", "a : bool", "x : int or None", "    A number,",
        "    even.", "", "Raises", "------", "ValueError", "    If odd.", "", "More text.", "",
        ">>> f(2)",
    ]  # fmt: skip
    assert one_form(underlined) == [
        "Text.", "", "Args:", "    a (bool):", "    x (int or None):", "        A number,",
        "        even.", "", "Raises:", "    ValueError:", "        If odd.", "", "More text.", "",
        ">>> f(2)",
    ]  # fmt: skip
    assert one_form(one_form(underlined)) == one_form(underlined)
    items = ["Items", "-----", "dict", "    ``image`` of", "    floats."]
    assert one_form(items) == ["Items:", "``image`` of", "floats."]


def test_doctests_stay_as_they_are():
    lines = [">>> f(*a)", "x_1 | y", "", "After_"]
    assert to_rst(lines) == [">>> f(*a)", "x_1 | y", "", r"After\_"]


def test_every_public_name_is_on_one_api_page():
    import softcut_lib
    from book.build import ROOT

    pages = "".join(path.read_text() for path in (ROOT / "book").glob("api*.md"))
    rooms = {module.split(".")[0] for module in softcut_lib._HOME.values()} | {"theorems", "show"}
    for room in rooms:
        assert pages.count(f".. room:: {room}\n") == 1
        assert all(
            f".{name}" in "".join(listing(room)) for n in public_names(room).values() for name in n
        )


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("(The two limits)", "Two limits (theorem)"),
        ("(Symmetry (thesis, theorem 2.1))", "Symmetry (thesis, theorem 2.1) (theorem)"),
        ("Rate", "Rate (theorem)"),
        ("", ""),
    ],
)
def test_named_theorems_stand_in_the_index(title, text):
    assert softcut_index.entry(title, "theorem") == text


def test_the_glossary_is_in_order_and_linked():
    """Alphabetical in each part, no word twice, and every `term` of a page is one of its words."""
    page = (build.ROOT / "book" / "glossary.md").read_text()
    parts = re.findall(r"```\{glossary\}\n(.*?)```", page, re.DOTALL)
    words = [[w for w in re.findall(r"^(\S.*)$", part, re.MULTILINE)] for part in parts]
    assert len(parts) == 4 and all(part == sorted(part, key=str.lower) for part in words)
    known = [w.lower() for part in words for w in part]
    assert len(known) == len(set(known)) > 40
    pages = "".join(path.read_text() for path in (build.ROOT / "book").glob("*.md"))
    used = re.findall(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`", pages)
    assert used and {word.lower() for word in used} <= set(known)


def test_inlined_pictures_become_files(tmp_path):
    page = '<img src="data:image/png;base64,aGVsbG8=" alt="One."> <img src="a.png">'
    light = pictures_to_files(page, tmp_path / "i", "../i/")
    (file,) = (tmp_path / "i").iterdir()
    assert file.read_bytes() == b"hello" and file.suffix == ".png"
    assert light == f'<img src="../i/{file.name}" alt="One."> <img src="a.png">'


def test_pictures_become_webp_where_that_is_smaller(tmp_path):
    noise = Image.effect_noise((90, 70), 60)
    noise.save(tmp_path / "photo.jpg", quality=90)
    drawing = Image.new("RGB", (90, 70), "white")
    drawing.paste("navy", (20, 10, 60, 50))
    drawing.save(tmp_path / "drawing.png")
    Image.new("1", (1, 1)).save(tmp_path / "dot.png")
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    page = '<a href="../_images/photo.jpg"><img src="_images/drawing.png" alt="x.png"></a>'
    light = FILE.sub(lambda name: as_webp(tmp_path / name[0]), page)
    assert light == page.replace("photo.jpg", "photo.webp").replace("drawing.png", "drawing.webp")
    for name in ("photo.jpg", "drawing.png", "dot.png"):
        kept = tmp_path / as_webp(tmp_path / name)
        assert kept.stat().st_size <= sizes[name]
        assert {path.stem for path in tmp_path.iterdir()} == {"photo", "drawing", "dot"}
    with Image.open(tmp_path / "drawing.webp") as again:
        assert again.convert("RGB").tobytes() == drawing.tobytes()


def test_only_shown_icons_keep_their_rule():
    css = '.fa-bars:before,.fa-navicon:before{content:"1"}.fa-x:before{content:"2"}.fa{color:red}'
    assert used_icons(css, {"fa-navicon"}) == css.replace('.fa-x:before{content:"2"}', "")
    script = '<script src="../_static/vendor/fontawesome/6.5.2/js/all.min.js?d=1"></script>'
    font = '<link rel="preload" as="font" crossorigin href="a.woff2" />'
    kept = '<link rel="preload" as="script" href="b.js" />'
    assert ICONS.sub("", script + font + kept) == kept


def test_run_times_are_noted_and_shown(tmp_path):
    from datetime import datetime
    from types import SimpleNamespace

    record = SimpleNamespace(data={"execution_seconds": 12.4}, created=datetime(2026, 3, 4, 5))
    build.note_run_times({"01_cut": record, "02_circuit": record}, tmp_path / "t.json")
    (tmp_path / "_build").mkdir()
    (tmp_path / "t.json").rename(tmp_path / "_build" / "run_times.json")
    text = "\n".join(softcut_record.this_build(tmp_path))
    assert "   * - :doc:`/notebooks/02_circuit`\n     - 12 s\n     - 2026-03-04" in text
    assert "2 notebooks" in text and "torch" in text
    assert "without `make book`" in softcut_record.this_build(tmp_path / "none")[0]


def test_every_results_file_has_its_provenance():
    rows = softcut_record.all_results(build.ROOT)
    text = "\n".join(rows)
    for path in (build.ROOT / "book" / "results").glob("*.json"):
        assert f"``{path.name}``" in text
    for field in ("command", "commit", "device", "time", "date"):
        told = [row for row in rows if row.startswith(f"    :{field}: ")]
        assert len(told) == len(list((build.ROOT / "book" / "results").glob("*.json")))
        assert all(row.partition(f":{field}: ")[2].strip() for row in told), "nothing is left out"


def test_a_benchmark_notes_machine_and_time_once_for_the_file(tmp_path):
    """Its rows have neither, unlike those of trainings."""
    path = tmp_path / "filtering-cpu.json"
    session = {
        "command": "python -m benchmarks.filtering",
        "commit": 12 * "a",
        "date": "2026-03-04T5",
    }
    content = {
        "about": "filters", "machine": {"device": "cpu", "processor": "P"}, "wall_time_s": 120,
        "sessions": [session], "rows": [{"method": "lattice"}],
    }  # fmt: skip
    path.write_text(json.dumps(content))
    text = "\n".join(softcut_record.provenance(path))
    for words in (session["command"], "cpu (P)", ":time: 2 min", ":date: 2026-03-04"):
        assert words in text
