"""Charts: sound SVG, every finite point in its place, nothing that is not a number."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from cnndsl.pictures.chart import Chart, Series, to_svg

CHART = Chart(
    "a < b & c",
    "cost",
    "loss",
    (
        Series("front", ((1.0, 0.0), (0.5, 0.2), (0.25, 0.9)), line=True),
        Series("chosen", ((0.5, 0.2), (float("inf"), 1.0), (0.1, float("nan")))),
    ),
)


def test_a_chart_is_sound_svg() -> None:
    text = to_svg(CHART, "net.cnn")
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "nan" not in text
    assert "inf" not in text
    assert to_svg(CHART, "net.cnn") == text


def test_points_are_where_their_numbers_say() -> None:
    text = to_svg(CHART, "net.cnn")
    (line,) = re.findall(r'<path d="M([^"H]*)" fill="none" stroke="#2f6fa7"', text)
    points = [tuple(map(float, p.split())) for p in line.split("L")]
    xs, ys = zip(*points, strict=True)
    # Half of the cost is in the middle between none and all of it.
    assert xs[1] - xs[2] == (xs[0] - xs[1]) / 2
    assert ys[0] > ys[1] > ys[2]
    marks = re.findall(r"<path d=\"M(\S+) (\S+)l6 6", text)
    drawn = [(float(x), float(y) + 6) for x, y in marks if float(y) + 6 != 34]
    assert drawn == [points[1]]


def test_a_chart_of_nothing_is_drawn() -> None:
    ElementTree.fromstring(to_svg(Chart("t", "x", "y", (Series("none", ()),)), "net.cnn"))
