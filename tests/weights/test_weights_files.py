"""Weights files: what is read back, and what is refused, quickly and by name."""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.diagnostics import CompileError
from cnndsl.weights import files, npz
from cnndsl.weights import safetensors as ours

TENSORS = {
    "b.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a.bias": np.linspace(-1, 1, 5, dtype=np.float32),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    files.write(path, TENSORS)
    found = files.read(path)
    assert set(found) == set(TENSORS)
    for name, array in TENSORS.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("length", range(1, 40))
def test_headers_of_any_length_are_read(tmp_path: Path, length: int) -> None:
    """Among them those whose length begins with the bytes of a pickle."""
    tensors = {"w" * 8 * length: np.zeros(2, np.float32)}
    files.write(tmp_path / "w.safetensors", tensors)
    assert list(files.read(tmp_path / "w.safetensors")) == list(tensors)


def test_other_readers_agree(tmp_path: Path) -> None:
    files.write(tmp_path / "w.safetensors", TENSORS)
    files.write(tmp_path / "w.npz", TENSORS)
    by_library = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    with np.load(tmp_path / "w.npz") as by_numpy:
        for name, array in TENSORS.items():
            np.testing.assert_array_equal(by_library[name], array)
            np.testing.assert_array_equal(by_numpy[name], array)


def test_files_of_others_are_read(tmp_path: Path) -> None:
    safetensors.numpy.save_file(TENSORS, tmp_path / "w.safetensors", {"format": "pt"})
    np.savez_compressed(tmp_path / "w.npz", **TENSORS, f=np.asfortranarray(TENSORS["b.weight"]))
    for suffix in ("safetensors", "npz"):
        found = files.read(tmp_path / f"w.{suffix}")
        np.testing.assert_array_equal(found["b.weight"], TENSORS["b.weight"])
    np.testing.assert_array_equal(found["f"], TENSORS["b.weight"])


@pytest.mark.parametrize("serialize", [ours.serialize, npz.serialize])
def test_bytes_do_not_depend_on_order(serialize: Any) -> None:
    assert bytes(serialize(TENSORS)) == bytes(serialize(dict(reversed(TENSORS.items()))))


def header(entries: Any, data: bytes = b"", *, text: str | None = None) -> bytes:
    raw = (json.dumps(entries) if text is None else text).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def one(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


EIGHT = bytes(8)
DEEP = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"

BROKEN = {
    "empty file": (b"", "0 bytes"),
    "seven bytes": (b"1234567", "7 bytes"),
    "header longer than the file": (struct.pack("<Q", 100) + b"{}", "truncated"),
    "gigantic header": (struct.pack("<Q", 2**63) + b"{}", "header claims"),
    "not JSON": (header(None, text="{nope"), "not JSON"),
    "not UTF-8": (struct.pack("<Q", 2) + b"\xff\xfe", "not JSON"),
    "deep JSON": (header(None, text=DEEP), "not JSON"),
    "huge integer": (header(None, text='{"a": ' + "9" * 100_000 + "}"), "not JSON"),
    "not an object": (header([1]), "not a JSON object"),
    "NaN in the shape": (
        header(None, EIGHT, text='{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}'),
        "NaN",
    ),
    "infinity": (
        header(None, EIGHT, text='{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,8]}}'),
        "Infinity",
    ),
    "a name twice": (
        header(None, EIGHT, text='{"a":' + json.dumps(one()) + ',"a":' + json.dumps(one()) + "}"),
        "a twice",
    ),
    "many names, the last one twice": (
        header(None, text="{" + "".join(f'"{i}":0,' for i in range(200_000)) + '"b":0,"b":0}'),
        "b twice",
    ),
    "missing field": (header({"a": {"dtype": "F32"}}), "tensor a"),
    "unknown dtype": (header({"a": one(dtype="F4")}, EIGHT), "F4"),
    "list as dtype": (header({"a": one(dtype=[1])}, EIGHT), "dtype"),
    "negative extent": (header({"a": one([-2])}, EIGHT), "malformed shape"),
    "fractional extent": (header({"a": one([2.0])}, EIGHT), "malformed shape"),
    "boolean extent": (header({"a": one([True, 2])}, EIGHT), "malformed shape"),
    "no elements": (header({"a": one([0, 2**62], [0, 0])}), "malformed shape"),
    "many axes": (header({"a": one([1] * 50 + [2])}, EIGHT), "malformed shape"),
    "offsets reversed": (header({"a": one([2], [8, 0])}, EIGHT), "malformed data_offsets"),
    "shape larger than offsets": (header({"a": one([3])}, EIGHT), "needs 12 bytes"),
    "oversized tensor": (header({"a": one([2**40], [0, 2**42])}, EIGHT), "ends at byte"),
    "overflowing product": (header({"a": one([2**62, 2**62, 2**62])}, EIGHT), "needs"),
    "overlap": (header({"a": one(), "b": one([2], [4, 12])}, bytes(12)), "a and b overlap"),
    "same place": (header({"a": one(), "b": one()}, EIGHT), "overlap"),
    "hole": (header({"a": one(), "b": one([2], [12, 20])}, bytes(20)), "8 to 12"),
    "bytes left over": (header({"a": one()}, bytes(9)), "8 to 9"),
    "truncated data": (header({"a": one()}, bytes(7)), "ends at byte 8"),
    "terminal escape in a name": (header({"\x1b[2J": one([3])}, EIGHT), "'\\x1b[2J'"),
}


@pytest.mark.parametrize("case", BROKEN, ids=BROKEN.keys())
def test_broken_safetensors_is_refused_by_name(tmp_path: Path, case: str) -> None:
    content, expected = BROKEN[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    start = time.process_time()
    message = refusal(path)
    assert time.process_time() - start < 2
    assert "bad.safetensors" in message
    assert expected in message


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_safetensors_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(bytes(ours.serialize(TENSORS)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged_is_read_or_refused(bytes(content[: data.draw(st.integers(0, len(content)))]))


def damaged_is_read_or_refused(content: bytes, suffix: str = ".safetensors") -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"w{suffix}"
        path.write_bytes(content)
        codes = []
        try:
            tensors = files.read(path)
        except CompileError as error:
            codes = [d.code for d in error.diagnostics]
        else:
            assert all(array.tobytes() is not None for array in tensors.values())
        assert codes in ([], ["CNN601"])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_npz_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(npz.serialize(TENSORS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged_is_read_or_refused(bytes(content), ".npz")


def test_every_damaged_byte_of_the_npz_directory_is_read_or_refused() -> None:
    sound = npz.serialize(TENSORS)
    for place in range(sound.index(b"PK\x01\x02"), len(sound)):
        content = bytearray(sound)
        content[place] = 255
        damaged_is_read_or_refused(bytes(content), ".npz")


class Bomb:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('a pickle was loaded')",))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".bin", ".ckpt", ".safetensors", ".npz"])
def test_pickles_are_never_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    assert "pickle and torch files are not read" in refusal(path)


def test_torch_archives_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    assert "torch file" in refusal(path)


def test_object_arrays_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=np.array([Bomb()], dtype=object))
    assert "dtype object" in refusal(path)


def test_zip_bombs_are_refused_before_they_expand(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(32 << 20, np.float32))
        archive.writestr("a.npy", buffer.getvalue())
    assert path.stat().st_size < 1 << 20
    assert "bomb" in refusal(path)


def test_npz_entries_must_hold_what_their_header_claims(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(4, np.float32))
    lying = buffer.getvalue().replace(b"(4,)", b"(9,)")
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", lying)
    assert "needs 36 bytes" in refusal(tmp_path / "w.npz")
    huge = buffer.getvalue().replace(b"(4,), }            ", b"(4000000000000,), }")
    assert huge != buffer.getvalue()
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", huge)
    assert "needs 16000000000000 bytes" in refusal(tmp_path / "w.npz")


def test_sparse_giants_cost_no_memory(tmp_path: Path) -> None:
    count = 1 << 38
    path = tmp_path / "w.safetensors"
    with open(path, "wb") as f:
        f.write(header({"a": one([count], [0, 4 * count])}))
        f.truncate(f.tell() + 4 * count)
    assert files.read(path)["a"].shape == (count,)


def test_missing_and_unknown_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as missing:
        files.read(tmp_path / "none.safetensors")
    assert missing.value.diagnostics[0].code == "CNN801"
    (tmp_path / "w.txt").write_text("hello")
    assert "suffix .txt" in refusal(tmp_path / "w.txt")


def refusal(path: Path) -> str:
    with pytest.raises(CompileError) as error:
        files.read(path)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "CNN601"
    return diagnostic.message
