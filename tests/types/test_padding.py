"""Windows: how many fit, by counting; and symbols give what numbers give."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from cnndsl.types import Dim, evaluate_extent
from cnndsl.types.padding import (
    Causal,
    Explicit,
    Padding,
    Same,
    Valid,
    span_of,
    window_output,
    window_padding,
)

H = Dim.symbol("H")
EXTENTS = st.integers(1, 60)
WINDOWS = st.fixed_dictionaries(
    {"kernel": st.integers(1, 7), "stride": st.integers(1, 5), "dilation": st.integers(1, 4)}
)
EXPLICIT = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda p: Explicit((p,)))
PADDINGS = st.one_of(st.sampled_from([Valid(), Same(), Causal()]), EXPLICIT)


def starts(extent: int, pads: tuple[int, int], window: dict, *, ceil_mode: bool) -> list[int]:
    """List where windows start (0 is the first input), by trying every multiple of the stride."""
    low, high = pads
    spanned = span_of(window["kernel"], window["dilation"])
    found = []
    start = -low
    while start + spanned <= extent + high:
        found.append(start)
        start += window["stride"]
    covered = found[-1] + spanned if found else -low
    # One more that reaches beyond the end, if something is left over and it starts in the input.
    if ceil_mode and found and covered < extent + high and start < extent:
        found.append(start)
    return found


@given(PADDINGS, EXTENTS, WINDOWS, st.booleans())
def test_window_output_counts_windows(padding: Padding, extent, window, ceil_mode):
    pads = window_padding(padding, 0, extent, **window)
    # Only pools round up, and they refuse padding that a window could lie in.
    assume(not ceil_mode or max(pads) < span_of(window["kernel"], window["dilation"]))
    found = starts(extent, pads, window, ceil_mode=ceil_mode)
    assume(found)
    assert window_output(padding, 0, extent, **window, ceil_mode=ceil_mode) == len(found)


@given(EXTENTS, WINDOWS)
def test_same_covers_the_input_and_splits_evenly_with_the_odd_element_at_the_end(extent, window):
    low, high = window_padding(Same(), 0, extent, **window)
    assert 0 <= low <= high <= low + 1
    output = window_output(Same(), 0, extent, **window)
    assert output == -(-extent // window["stride"])
    spanned = span_of(window["kernel"], window["dilation"])
    if low + high:
        # The last window ends exactly where the padding ends: no more is added than needed.
        assert (output - 1) * window["stride"] + spanned == extent + low + high


@given(EXTENTS, WINDOWS)
def test_causal_windows_end_at_their_own_position(extent, window):
    low, high = window_padding(Causal(), 0, extent, **window)
    spanned = span_of(window["kernel"], window["dilation"])
    output = window_output(Causal(), 0, extent, **window)
    assert high == 0
    for o in range(output):
        assert o * window["stride"] - low + spanned - 1 == o * window["stride"] < extent


@given(PADDINGS, EXTENTS, WINDOWS, st.booleans())
def test_symbolic_output_has_the_numeric_value(padding: Padding, extent, window, ceil_mode):
    symbolic = window_output(padding, 0, H, **window, ceil_mode=ceil_mode)
    numeric = window_output(padding, 0, extent, **window, ceil_mode=ceil_mode)
    if symbolic is None:
        assert ceil_mode
        return
    assert evaluate_extent(symbolic, {"H": extent}) == numeric


@given(PADDINGS, EXTENTS, WINDOWS)
def test_padding_known_for_a_symbol_is_the_numeric_padding(padding: Padding, extent, window):
    known = window_padding(padding, 0, H, **window)
    numeric = window_padding(padding, 0, extent, **window)
    if known is None:
        assert padding == Same()
        assert window["stride"] > 1
    else:
        assert known == numeric


def test_multiples_pass_through_strided_windows_exactly():
    extent = 32 * H
    for kernel, padding in ((7, Explicit(((3, 3),))), (3, Explicit(((1, 1),))), (3, Same())):
        extent = window_output(padding, 0, extent, kernel, 2, 1)
    assert extent == 4 * H
