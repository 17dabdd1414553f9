"""Pictures of receptive fields: what is where, pixel by pixel; formats; a missing Matplotlib."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnndsl.diagnostics import CompileError
from cnndsl.files import write_file
from cnndsl.pictures.fields import FieldPicture, UnitField, ValueFields
from cnndsl.pictures.panels import COLORS, PADDING, plane, read_positions
from cnndsl.pictures.planes import described, planes
from cnndsl.pictures.receptive_field import SUFFIXES, render
from cnndsl.pictures.strips import strips

figure = pytest.importorskip("matplotlib.figure")
BLUE = np.array([0x00, 0x72, 0xB2]) / 255
GREY = np.array([int(PADDING[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def square(low: int, high: int, **more: object) -> UnitField:
    return UnitField((0, 0), ((low, high), (low, high)), **more)  # type: ignore[arg-type]


def value(*units: UnitField, jump: float = 8.0) -> ValueFields:
    return ValueFields("features", units[0].sizes, (jump,) * len(units[0].sizes), units)


class Pixels:
    """A drawn panel, read at positions of the input."""

    def __init__(self, figure: object, axes: object) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)  # type: ignore[arg-type]
        canvas.draw()
        self._pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
        self._axes = axes

    def at(self, y: float, x: float) -> np.ndarray:
        column, row = self._axes.transData.transform((x, y))  # type: ignore[attr-defined]
        return self._pixels[len(self._pixels) - 1 - int(row), int(column)]


def drawn(
    shown: ValueFields,
    extent: tuple[int, int] = (100, 100),
    image: np.ndarray | None = None,
    object_px: tuple[int, int] | None = None,
) -> Pixels:
    sheet = figure.Figure(figsize=(6, 6), dpi=150)
    axes = sheet.add_axes((0.1, 0.1, 0.85, 0.85))
    plane(axes, extent, [(shown, COLORS[0])], image, object_px, full=True)
    return Pixels(sheet, axes)


def near(found: np.ndarray, color: np.ndarray) -> bool:
    return bool(np.abs(found - color).max() < 0.08)


def test_the_rectangle_lies_on_the_borders_of_what_is_seen() -> None:
    """A field 20..59: the line runs half a pixel before 20 and half a pixel after 59."""
    pixels = drawn(value(square(20, 59)))
    for place in (19.5, 59.5):
        for along in (25, 33, 50):
            assert near(pixels.at(place, along), BLUE)
            assert near(pixels.at(along, place), BLUE)
    for inside in (25, 55):
        assert not near(pixels.at(inside, inside), BLUE)


def test_rows_go_down_and_columns_to_the_right() -> None:
    """A gradient image, and a field that is not square, keep their sides."""
    image = np.zeros((60, 100))
    image[:30] = 1.0
    unit = UnitField((0, 0), ((10, 19), (40, 79)))
    pixels = drawn(value(unit, jump=500.0), (60, 100), image)
    assert near(pixels.at(5, 5), np.ones(3))
    assert near(pixels.at(55, 5), np.zeros(3))
    assert near(pixels.at(9.5, 60), BLUE)
    assert near(pixels.at(15, 79.5), BLUE)


def test_what_lies_beyond_the_input_is_padding() -> None:
    pixels = drawn(value(square(-30, 29)), image=np.zeros((100, 100)))
    assert near(pixels.at(-15, 60), GREY)
    assert near(pixels.at(-15, -15), GREY)
    assert near(pixels.at(60, 60), np.zeros(3))
    assert near(pixels.at(-30.5, 0), BLUE)


def test_other_units_are_outlined_too() -> None:
    pixels = drawn(value(square(40, 59), square(0, 19)))
    line = [pixels.at(y, 19.5) for y in np.linspace(2, 17, 60)]
    colored = [pixel[2] - pixel[0] > 0.4 for pixel in line]
    assert 0.3 < np.mean(colored) < 0.95, "dashed"


def test_the_effective_field_is_strongest_at_its_centre() -> None:
    plain = drawn(value(square(10, 89), jump=500.0), image=np.ones((100, 100)))
    heated = drawn(
        value(square(10, 89, sigma_px=(8.0, 20.0)), jump=500.0), image=np.ones((100, 100))
    )

    def change(y: float, x: float) -> float:
        return float(np.abs(heated.at(y, x) - plain.at(y, x)).sum())

    assert change(50, 62) > change(50, 75) > change(50, 86)
    assert change(50, 75) > 2 * change(75, 50), "wider than high"
    assert change(3, 3) == 0


def test_a_ring_stands_at_two_sigma() -> None:
    pixels = drawn(value(square(10, 89, sigma_px=(5.0, 15.0)), jump=500.0))
    ring = np.array([0xB5, 0x36, 0x7A]) / 255

    def strongest(places: list[tuple[float, float]]) -> bool:
        return min(float(np.abs(pixels.at(y, x) - ring).max()) for y, x in places) < 0.25

    assert strongest([(49.5, 49.5 + 30 + d) for d in np.linspace(-0.5, 0.5, 9)])
    assert strongest([(49.5 - 10 + d, 49.5) for d in np.linspace(-0.5, 0.5, 9)])
    assert not strongest([(49.5 - 30 + d, 49.5) for d in np.linspace(-0.5, 0.5, 9)])


def test_a_small_field_is_enlarged() -> None:
    """What is small in the whole input fills a good part of its own panel."""
    for size, enlarged in ((3, True), (60, False)):
        sheet = figure.Figure()
        axes = sheet.add_subplot()
        shown = value(square(100, 99 + size), square(0, size - 1))
        said = plane(axes, (224, 224), [(shown, COLORS[0])], None, None, full=True)
        assert said == ("enlarged" if enlarged else "")
        low, high = axes.get_xlim()
        assert low < 100 < 99 + size < high
        assert size > 0.1 * (high - low)
        assert (high - low < 224) == enlarged
        assert plane(axes, (224, 224), [(shown, COLORS[0])], None, None, full=False) == ""


def test_measured_influence_is_drawn_where_it_is() -> None:
    influence = np.zeros((100, 100))
    influence[30:40, 60:70] = 4.0
    unit = square(10, 89, influence=influence, centre=(80.0, 20.0))
    pixels = drawn(value(unit, jump=500.0))
    sheet = np.array([0xFA] * 3) / 255
    assert not near(pixels.at(35, 65), sheet)
    assert near(pixels.at(65, 35), sheet)
    assert near(pixels.at(55, 65), sheet)


def test_the_grid_has_a_dot_at_every_unit() -> None:
    pixels = drawn(value(square(40, 60), jump=20.0), image=np.zeros((100, 100)))
    for y in (10, 30, 70, 90):
        for x in (10, 30, 70, 90):
            assert pixels.at(y, x).min() > 0.5, (y, x)
            assert near(pixels.at(y + 3, x), np.zeros(3))


def test_the_object_stands_in_the_middle() -> None:
    pixels = drawn(value(square(45, 54), jump=500.0), image=np.ones((100, 100)), object_px=(40, 20))
    dark = [pixels.at(29.5, x).max() < 0.5 for x in np.linspace(41, 58, 120)]
    assert 0.2 < np.mean(dark) < 0.9, "a dotted line 20 px above the middle"
    assert np.mean([pixels.at(y, 59.5).max() < 0.5 for y in np.linspace(31, 68, 120)]) > 0.2
    assert pixels.at(59.5, 75).min() > 0.9


@pytest.mark.parametrize("image", [None, np.full((50, 50, 3), 0.2)], ids=["blank", "image"])
def test_holes_are_veiled_one_by_one(image: np.ndarray | None) -> None:
    """Every third position is read: exactly these show the image (or the colour)."""
    mask = np.arange(13) % 3 == 0
    unit = square(20, 32, read=(mask, mask))
    sheet = figure.Figure(figsize=(6, 6), dpi=150)
    axes = sheet.add_axes((0.1, 0.1, 0.85, 0.85))
    said = read_positions(axes, unit, (50, 50), image, COLORS[0])
    assert said == "14.8 % read"
    pixels = Pixels(sheet, axes)
    shown = BLUE if image is None else np.full(3, 0.2)
    for y in range(20, 33):
        for x in range(20, 33):
            read = mask[y - 20] and mask[x - 20]
            assert near(pixels.at(y, x), shown) == read, (y, x)


def test_large_holes_show_the_middle() -> None:
    mask = np.arange(301) % 2 == 0
    sheet = figure.Figure()
    axes = sheet.add_subplot()
    unit = square(-100, 200, read=(mask, mask))
    assert "the middle shown" in read_positions(axes, unit, (224, 224), None, COLORS[0])
    low, high = axes.get_xlim()
    assert abs((low + high) / 2 - 50) < 2
    assert 60 < high - low < 90


def picture(rank: int, **more: object) -> FieldPicture:
    mask = np.arange(21) % 2 == 0
    units = (
        UnitField((5,) * rank, ((20, 40),) * rank, read=(mask,) * rank, sigma_px=(4.0,) * rank),
        UnitField((0,) * rank, ((-10, 10),) * rank),
    )
    values = (
        ValueFields("block.conv3x3", (21,) * rank, (2.0,) * rank, units),
        ValueFields("pooled", (60,) * rank, (0.0,) * rank, units[:1], whole=True),
    )
    return FieldPicture("network", (60,) * rank, values, **more)  # type: ignore[arg-type]


def texts(sheet: object) -> str:
    return "\n".join(t.get_text() for t in sheet.findobj(match=lambda a: hasattr(a, "get_text")))  # type: ignore[attr-defined]


def test_a_picture_says_sizes_jumps_and_what_is_read() -> None:
    sheet = planes(picture(2, object_px=(12, 8)))
    found = texts(sheet)
    assert "network: what its units see of 60 × 60 px" in found
    assert "block.conv3x3: 21 × 21 px, jump 2, effective σ 4, 27.4 % read" in found
    assert "pooled: sees the whole input" in found
    assert "object: 12 × 8 px" in found
    titles = [axes.get_title() for axes in sheet.axes]
    assert titles[:3] == ["together", "block.conv3x3", "pooled"]
    assert titles[3] == "block.conv3x3: holes\n27.4 % read"


def test_the_unit_drawn_is_told_from_the_union_over_phases() -> None:
    """A unit of the U-Net's output sees 188 or 204 positions, by phase; together they see 215."""
    shown = ValueFields("mask", (215, 215), (1.0, 1.0), (square(0, 187),))
    assert described(shown, "px") == "mask: 215 × 215 px over all phases (drawn: 188 × 188), jump 1"


def test_a_long_label_keeps_the_layer() -> None:
    label = "features.residual_stage_4.bottleneck_2.conv3x3_2"
    units = (square(20, 40),)
    shown = ValueFields(label, (21, 21), (1.0, 1.0), units)
    sheet = planes(FieldPicture("net", (60, 60), (shown,)))
    assert sheet.axes[0].get_title() == "…residual_stage_4.bottleneck_2.conv3x3_2"
    assert described(shown, "px").startswith("…residual_stage_4.bottleneck_2.conv3x3_2: 21 × 21 px")


@pytest.mark.parametrize("rank", [2, 3])
def test_nothing_lies_on_something_else_or_far_from_it(rank: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    extents = {2: (60, 60), 3: (8, 60, 60)}[rank]
    sheet = planes(FieldPicture("network", extents, picture(rank).values))
    canvas = FigureCanvasAgg(sheet)
    canvas.draw()
    boxes = [axes.get_tightbbox(canvas.get_renderer()) for axes in sheet.axes]
    boxes.append(sheet.legends[0].get_window_extent())
    page = sheet.bbox
    for number, box in enumerate(boxes):
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in boxes[:number])
    panels, legend = boxes[:-1], boxes[-1]
    assert 0 < min(b.y0 for b in panels) - legend.y1 < 0.4 * sheet.dpi
    assert page.y1 - max(b.y1 for b in panels) < 0.6 * sheet.dpi


def test_a_volume_is_shown_on_two_planes_where_its_sides_look_alike() -> None:
    titles = [axes.get_title() for axes in planes(picture(3)).axes]
    assert titles[:3] == [
        "block.conv3x3: height by width",
        "block.conv3x3: depth by height or width",
        "pooled: height by width",
    ]


@pytest.mark.parametrize("what", ["input", "field", "read", "sigma", "influence", "object"])
def test_a_volume_is_shown_on_three_planes(what: str) -> None:
    given = picture(3)
    values, extents, thing = given.values, given.input_px, None
    more: dict[str, object] = {}
    match what:
        case "input":
            extents = (60, 60, 50)
        case "object":
            thing = (8, 8, 9)
        case "field":
            more = {"intervals": ((20, 40), (20, 40), (21, 41))}
        case "read":
            more = {"read": (*[np.ones(21, bool)] * 2, np.arange(21) % 2 == 0)}
        case "sigma":
            more = {"sigma_px": (4.0, 4.0, 3.0)}
        case "influence":
            more = {"influence": np.arange(60.0) + np.zeros((60, 60, 60))}
    first = replace(values[0], units=(replace(values[0].units[0], **more),))  # type: ignore[arg-type]
    sheet = planes(FieldPicture("network", extents, (first,), object_px=thing))
    titles = [axes.get_title() for axes in sheet.axes]
    assert titles[:3] == [
        f"block.conv3x3: {plane}"
        for plane in ("height by width", "depth by height", "depth by width")
    ]
    assert "21 × 21 × 21 px" in texts(sheet)


def test_fields_over_time() -> None:
    """Runs of read positions are pieces of the strip, padding lies left of zero."""
    mask = np.zeros(10, bool)
    mask[[0, 1, 5, 9]] = True
    unit = UnitField((0,), ((-4, 5),), read=(mask,))
    shown = ValueFields("taps", (10,), (1.0,), (unit,))
    sheet = strips(FieldPicture("sound", (40,), (shown,), image=np.ones(40)))
    (axes,) = sheet.axes
    pixels = Pixels(sheet, axes)
    low, high = axes.get_xlim()
    assert low < -4
    assert high > 39
    row = 1.7
    for position in range(-4, 6):
        assert near(pixels.at(row, position), BLUE) == mask[position + 4], position
    assert near(pixels.at(0.2, -2), GREY)
    assert "taps: 10 positions, jump 1, 40 % read" in texts(sheet)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files(rank: int, suffix: str, tmp_path: Path) -> None:
    """Every format opens, equal pictures have equal bytes, and carry the mark."""
    first = render(picture(rank), suffix, "net.cnn")
    assert first == render(picture(rank), suffix, "net.cnn")
    match suffix:
        case ".png":
            with Image.open(io.BytesIO(first)) as image:
                assert image.format == "PNG"
                assert min(image.size) > 300
        case ".svg":
            assert ET.fromstring(first).tag.endswith("svg")
        case ".pdf":
            assert first.startswith(b"%PDF")
    path = tmp_path / f"a{suffix}"
    write_file(path, first)
    write_file(path, first)  # overwrites, for it was generated
    path.write_bytes(first.replace(b"Generated by cnndsl", b"Generated by nobody"))
    with pytest.raises(CompileError) as error:
        write_file(path, first)
    assert error.value.diagnostics[0].code == "CNN802"


def test_the_users_settings_change_nothing() -> None:
    import matplotlib

    before = render(picture(2), ".png", "net.cnn")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 20, "savefig.dpi": 10}):
        assert render(picture(2), ".png", "net.cnn") == before


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CompileError) as error:
        render(picture(2), ".png", "net.cnn")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "CNN804"
    assert diagnostic.help == "pip install 'cnndsl[plot]'"


def test_what_cannot_be_drawn_is_refused() -> None:
    unit = square(0, 1)
    for wrong in ((4,), (4, 4, 4), ()):
        with pytest.raises(ValueError, match="axes"):
            FieldPicture("n", wrong, (value(unit),))
    with pytest.raises(ValueError, match="nothing"):
        FieldPicture("n", (4, 4), ())
    with pytest.raises(ValueError, match="none of"):
        render(FieldPicture("n", (4, 4), (value(unit),)), ".gif", "n")


def test_projections_keep_what_belongs_to_their_axes() -> None:
    influence = np.arange(24.0).reshape(2, 3, 4)
    unit = UnitField(
        (1, 2, 3), ((0, 1), (2, 4), (5, 8)), sigma_px=(1.0, 2.0, 3.0), influence=influence
    )
    seen = unit.on((0, 2))
    assert seen.intervals == ((0, 1), (5, 8))
    assert seen.sigma_px == (1.0, 3.0)
    assert seen.influence is not None
    np.testing.assert_array_equal(seen.influence, influence.sum(axis=1))
    assert described(value(unit).on((1, 2)), "px").startswith("features: 3 × 4 px, jump 8")
