"""Scribbles as files: drawn lines, ScribbleSup's XML by its read-me file, small label images."""

import numpy as np
import pytest
import torch
from PIL import Image

from softcut_lib import draw_scribbles, read_scribbles, resize_scribbles

LABELS = {"background": 0, "horse": 13, "person": 15}


def write_xml(path, polygons, *, size=(40, 30), broken=""):
    """A file of the form that the read-me file of ScribbleSup's data shows."""
    body = ""
    for tag, points in polygons:
        body += f"<polygon><tag>{tag}</tag>"
        body += "".join(f"<point><X>{x}</X><Y>{y}</Y></point>" for x, y in points) + "</polygon>"
    path.write_text(
        f"<annotation><folder>anno</folder><filename>{path.stem}.png</filename><source/><owner/>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
        f"<segmented>1</segmented>{body}</annotation>{broken}"
    )
    return path


def test_a_pen_marks_the_pixels_within_half_its_width():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 2, generator=generator, dtype=torch.float64) * 30
    seeds = draw_scribbles([(3, [a.tolist(), b.tolist()])], (30, 30), width=5)
    y, x = torch.meshgrid(torch.arange(30), torch.arange(30), indexing="ij")
    pixel = torch.stack([x, y], -1).double()
    along = (((pixel - a) @ (b - a)) / (b - a).square().sum()).clamp(0, 1)
    distance = (pixel - a - along[..., None] * (b - a)).norm(dim=-1)
    sure = (distance - 2.5).abs() > 0.01  # the line is drawn as points a quarter pixel apart
    assert torch.equal((seeds == 3)[sure], (distance < 2.5)[sure]) and int(sure.sum()) > 800


def test_later_lines_cover_earlier_ones_and_the_border_clips():
    seeds = draw_scribbles([(0, [(-5, 2), (50, 2)]), (1, [(3, -9), (3, 99)])], (6, 8), width=1)
    assert seeds[2].tolist() == [0, 0, 0, 1, 0, 0, 0, 0] and (seeds[:, 3] == 1).all()
    assert (draw_scribbles([(1, [(99, 99)])], (6, 8)) == 255).all()


@pytest.mark.parametrize("pen", [0.2, 1.0, 3.0])
def test_a_spot_marks_at_least_its_pixel(pen):
    assert draw_scribbles([(7, [(2.4, 1.4)])], (4, 5), width=pen)[1, 2] == 7


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(255, [(0, 0)])], "labels in 0..254"),
        ([("horse", [(0, 0)])], "labels in 0..254"),
        ([(1, [])], "at least one"),
        ([(1, [(0, float("nan"))])], "all finite"),
        ([(1, [0, 1])], r"\(x, y\)"),
    ],
)
def test_wrong_lines_are_named(lines, message):
    with pytest.raises(ValueError, match=message):
        draw_scribbles(lines, (4, 4))


def test_xml_equals_the_lines_drawn(tmp_path):
    lines = [("background", [(2, 3), (30, 3)]), ("horse", [(10, 20), (20, 25), (10, 28)])]
    path = write_xml(tmp_path / "2007_000032.xml", lines)
    seeds = read_scribbles(path, labels=LABELS, width=3)
    drawn = draw_scribbles([(LABELS[name], points) for name, points in lines], (30, 40), width=3)
    assert torch.equal(seeds, drawn) and seeds.unique().tolist() == [0, 13, 255]


def test_xml_scales_with_the_image(tmp_path):
    path = write_xml(tmp_path / "a.xml", [("horse", [(4, 4), (35, 4)])])
    half = read_scribbles(path, labels=LABELS, size=(15, 20), width=1.2)
    rows, columns = torch.nonzero(half == 13, as_tuple=True)
    # center of pixel 4 of 30 is 4.5 / 30 of the height: 1.75 of 15 pixels
    assert set(rows.tolist()) == {2} and (columns.min(), columns.max()) == (2, 17)


def test_points_outside_the_image_are_dropped(tmp_path):
    # files of the published set do hold such points
    path = write_xml(tmp_path / "a.xml", [("horse", [(38, 10), (45, 10)]), ("person", [(41, 31)])])
    assert read_scribbles(path, labels=LABELS).unique().tolist() == [13, 255]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation>", "not valid XML"),
        ("<annotation/>", "no <size>"),
        ("<annotation><size><width>4</width></size></annotation>", "number <height>"),
        (
            "<annotation><size><width>4</width><height>4</height></size>"
            "<polygon><tag>unicorn</tag></polygon></annotation>",
            "unknown class 'unicorn'; known are background, horse, person",
        ),
        (
            "<annotation><size><width>4</width><height>4</height></size><polygon><tag>horse</tag>"
            "<point><X>one</X><Y>2</Y></point></polygon></annotation>",
            "number <X>, got 'one'",
        ),
    ],
)
def test_damaged_xml_is_named(tmp_path, content, message):
    path = tmp_path / "bad.xml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_scribbles(path, labels=LABELS)
    assert "bad.xml" in str(error.value)


def test_label_images_are_read_as_they_are(tmp_path):
    pixels = np.full((6, 9), 255, np.uint8)
    pixels[1, 2:5], pixels[4, 8] = 0, 20
    Image.fromarray(pixels).save(tmp_path / "a.png")
    palette = Image.fromarray(pixels).convert("L")
    palette.putpalette([k % 256 for k in range(768)])
    palette.save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert torch.equal(read_scribbles(tmp_path / name), torch.from_numpy(pixels).long())
    assert read_scribbles(tmp_path / "a.png", size=(12, 18)).shape == (12, 18)


def test_other_files_are_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "color.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="mode 'RGB'"):
        read_scribbles(tmp_path / "color.png")
    with pytest.raises(ValueError, match="cannot decode"):
        read_scribbles(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError, match="no scribbles at"):
        read_scribbles(tmp_path / "none.xml")


def test_thin_lines_survive_a_smaller_size():
    seeds = draw_scribbles([(0, [(1, 1), (38, 25)]), (4, [(3, 28), (38, 28)])], (30, 40), width=1)
    small = resize_scribbles(seeds, (7, 9))
    assert small.unique().tolist() == [0, 4, 255]
    blocks = resize_scribbles(seeds, (15, 20))
    marked = (seeds != 255).view(15, 2, 20, 2).any(3).any(1)
    assert torch.equal(blocks != 255, marked)


def test_a_larger_size_repeats_pixels_and_none_stays_none():
    seeds = torch.tensor([[255, 3], [0, 255]])
    assert torch.equal(
        resize_scribbles(seeds, (4, 4)), seeds.repeat_interleave(2, 0).repeat_interleave(2, 1)
    )
    assert (resize_scribbles(torch.full((4, 4), 255), (2, 2)) == 255).all()
