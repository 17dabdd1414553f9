"""Files that are no .cfg or no weights for it, or hostile: errors with their place."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from importers.darknet_cfgs import cfgs
from importers.darknet_oracle import Darknet
from importers.test_darknet_networks import of, picture

from cnndsl.diagnostics import CompileError, Diagnostic, Source
from cnndsl.importers.darknet import importing
from cnndsl.importers.darknet.importing import import_cfg, import_darknet
from cnndsl.importers.darknet.sections import ALIASES, LAYERS, REFUSED
from cnndsl.importers.imported import Imported
from cnndsl.importers.writing.write import write_source
from cnndsl.limits import MAX_NODES

CFGS = Path(__file__).parent / "darknet"


def read(text: str) -> Imported:
    return import_cfg(Source("net.cfg", text))


def errors(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(CompileError) as caught:
        read(text)
    return caught.value.diagnostics


def told(text: str) -> list[str]:
    """Return what is wrong: code, place and message."""
    return [
        f"{d.code} {d.span.line}:{d.span.column} {d.message}" if d.span else f"{d.code} {d.message}"
        for d in errors(text)
    ]


def test_every_section_that_has_keys_is_read() -> None:
    assert set(importing.CASES) == set(LAYERS)
    assert not set(LAYERS) & (set(REFUSED) | set(ALIASES))
    assert set(ALIASES.values()) <= {*LAYERS, *REFUSED, "net"}


# -------------------------------------------------------------------------- the text


def test_all_that_is_wrong_is_told_in_one_run_line_by_line() -> None:
    text = """[net]
height=64
width=x64
chanels=3
[convolutionl]
filters=8
[convolutional]
filters=30 #testing
size=3.5
stride=0
fliters=3
activation=leakey
binary=1
[route]
layers = -1, 7, 2
[shortcut]
from=0
from=-1
[gru]
hello
[maxpool
stride=
[yolo]
mask=0,1,9
num=3
[dropout]
probability=1
[lstmm]
[net]
"""
    assert told(text) == [
        "CNN306 3:7 [net]: width takes a whole number, not x64",
        "CNN303 4:1 [net]: there is no key chanels",
        "CNN302 5:2 Darknet has no section [convolutionl]",
        "CNN306 9:6 [convolutional]: size takes a whole number, not 3.5",
        "CNN307 10:8 [convolutional]: stride must be at least 1, and is 0",
        "CNN303 11:1 [convolutional]: there is no key fliters",
        "CNN307 12:12 [convolutional]: activation is leakey, which Darknet does not have",
        "CNN807 13:1 [convolutional]: binary cannot be said in the language: it makes weights and "
        "inputs binary",
        "CNN318 15:14 [route]: 7 means layer 7, and the layers before it are 0 to 1",
        "CNN318 15:17 [route]: 2 means itself, and the layers before it are 0 to 1",
        "CNN308 18:1 [shortcut]: from is given twice",
        "CNN807 19:2 [gru]: it cannot be said in the language: the language has no recurrent "
        "layers",
        "CNN806 20:1 the line is neither [section] nor key=value",
        "CNN806 21:1 the name of the section is not closed",
        "CNN806 22:1 stride has no value",
        "CNN318 24:10 [yolo]: mask has 9, and num=3 boxes",
        "CNN807 26:2 [dropout]: it reads the boxes that [yolo] makes, which are not part of the "
        "network",
        "CNN307 27:13 [dropout]: probability is 1, which is not from 0 to below 1",
        "CNN302 28:2 Darknet has no section [lstmm]",
        "CNN308 29:2 [net]: only the first section gives the network's input",
    ]


def test_each_mistake_suggests_one_edit() -> None:
    found = errors("[net]\nheight=9\nwidht=9\n[conv]\nfilter=3\nactivation=leeky\n[conected]\n")
    assert [d.help for d in found] == [
        "add a line `channels=...`",
        "did you mean `width`?",
        "did you mean `filters`?",
        "did you mean `leaky`?",
        "did you mean [connected]?",
    ]


def test_files_that_are_none() -> None:
    assert told("") == ["CNN806 net.cfg is not a .cfg file: it has no [section]"]
    assert told("a program\n") == ["CNN806 1:1 a line stands before the first section"]
    assert told("[convolutional]\nfilters=3\n") == [
        "CNN806 1:2 the first section is [convolutional]"
    ]
    assert told("[net]\nheight=3\nwidth=3\nchannels=3\n") == [
        "CNN316 1:2 the file has no layers after [net]"
    ]
    assert told("[net]\nheight=3\x1b[31m\n")[-1] == (
        "CNN806 2:1 the line holds characters that cannot be printed"
    )


def test_comments_spaces_and_line_ends_are_no_mistakes() -> None:
    text = (
        "; first\r\n# second\r\n\r\n  [ net ]  # input\r\n\theight = 8\r\nwidth\t=\t8;8\r\n"
        "channels=1#\r\n[ maxpool ]\r\nstride = 2  # half\r\nsize = 2"
    )
    assert [str(n.output.type) for n in read(text).graph.nodes] == [
        "float32[N, 1, (H + 1) // 2, (W + 1) // 2]"
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def error(path: Path) -> str:
        with pytest.raises(CompileError) as caught:
            import_darknet(path)
        (found,) = caught.value.diagnostics
        return f"{found.code} {found.message}"

    assert error(tmp_path / "none.cfg").startswith("CNN801 cannot read")
    assert error(tmp_path).endswith("it is a folder")
    (tmp_path / "large.cfg").write_bytes(b"#" * (1 << 21))
    assert error(tmp_path / "large.cfg").startswith("CNN404")
    (tmp_path / "bytes.cfg").write_bytes(b"[net]\nwidth=\xff\n")
    assert error(tmp_path / "bytes.cfg").startswith("CNN106")
    (tmp_path / "nul.cfg").write_bytes(b"[net]\nwidth=\0\n")
    assert error(tmp_path / "nul.cfg").startswith("CNN106")
    os.mkfifo(tmp_path / "pipe.cfg")
    assert "not a plain file" in error(tmp_path / "pipe.cfg")


# ------------------------------------------------------------------------- the layers


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ("[convolutional] size=3", "CNN304 5:2 [convolutional]: the key filters is missing"),
        (
            "[convolutional] filters=3 size=3 dilation=2",
            "CNN807 8:10 [convolutional]: with dilation=2 Darknet counts outputs for another "
            "padding than it applies, unless both are half the kernel",
        ),
        (
            "[convolutional] filters=3 antialiasing=1",
            "CNN807 7:1 [convolutional]: antialiasing cannot be said in the language: it blurs "
            "with a filter that is no weight",
        ),
        (
            "[convolutional] filters=3 activation=stair",
            "CNN807 7:12 [convolutional]: the activation stair cannot be said in the language",
        ),
        (
            "[connected] output=3 dontload=1 activation=linear",
            "CNN807 7:1 [connected]: dontload cannot be said in the language: its weights",
        ),
        (
            "[connected] output=3 activation=mish",
            "CNN807 7:12 [connected]: Darknet applies mish in convolutional and shortcut alone",
        ),
        (
            "[local] filters=3 size=5 pad=1",
            "CNN807 8:5 [local]: with pad=1 and size=5 Darknet counts outputs for another padding "
            "than it applies",
        ),
        (
            "[connected] output=3 [shortcut] from=-1 [convolutional] filters=4 [maxpool] stride=2 "
            "[upsample] [route] layers=2,4",
            "CNN206 14:2 [route]: concat along axis 1 needs equal extents",
        ),
        (
            "[route] layers=0",
            "CNN318 6:8 [route]: 0 means itself, and the layers before it are none",
        ),
        (
            "[maxpool] [route] layers=-2",
            "CNN318 7:8 [route]: -2 means layer -1, and the layers before it are 0 to 0",
        ),
        ("[maxpool] [route] layers=0,,0", "CNN306 7:10 [route]: layers takes a whole number"),
        (
            "[maxpool] [route] layers=0 groups=3",
            "CNN203 8:8 [route]: 4 channels cannot be divided into 3 groups",
        ),
        (
            "[maxpool] [route] layers=0 groups=2 group_id=2",
            "CNN307 9:10 [route]: group_id is 2, and of 2 groups the last is 1",
        ),
        (
            "[maxpool] [maxpool] stride=3 [shortcut] from=0",
            "CNN807 9:6 [shortcut]: it adds 6x8 to 2x3: sizes must be equal, or the layer's that",
        ),
        (
            "[maxpool] [shortcut] from=0 weights_type=per_feature",
            "CNN807 8:14 [shortcut]: weighted shortcuts cannot be said in the language",
        ),
        (
            "[dropout] [scale_channels] from=0",
            "CNN205 7:6 [scale_channels]: float32[N, 4, 6, 8] does not fit float32[N, 4, 6, 8]",
        ),
        ("[upsample] stride=-2", "CNN807 6:8 [upsample]: stride is -2: Darknet sums up blocks"),
        ("[reorg] stride=4", "CNN209 6:8 [reorg]: float32[N, 4, 6, 8] cannot be divided"),
        (
            "[crop] crop_height=7 crop_width=3",
            "CNN307 6:13 [crop]: crop_height is 7, and the map has 6",
        ),
        ("[softmax] spatial=1", "CNN807 6:9 [softmax]: spatial=1 is not read"),
        ("[softmax] groups=5", "CNN203 6:8 [softmax]: 192 elements cannot be divided"),
        ("[softmax] tree=9k.tree", "CNN807 6:1 [softmax]: tree cannot be said"),
        (
            "[yolo] num=3 classes=80",
            "CNN205 5:2 [yolo]: it reads 4 channels, and its settings need 255",
        ),
        (
            "[region] num=3 classes=2",
            "CNN205 5:2 [region]: it reads 4 channels, and its settings need 21",
        ),
        (
            "[detection] side=2",
            "CNN205 5:2 [detection]: it reads 192 elements, and its settings need 12",
        ),
        ("[batchnorm]", "CNN807 5:2 [batchnorm]: it cannot be said in the language: what weights"),
        ("[lrn]", "CNN807 5:2 [normalization]: it cannot be said in the language: Darknet leaves"),
        ("[maxpool] size=20 padding=0", "CNN204 5:2 [maxpool]"),
        ("[convolutional] filters=3 size=9", "CNN204 5:2 [convolutional]"),
        ("[convolutional] filters=4 groups=3", "CNN203 5:2 [convolutional]"),
    ],
)
def test_what_a_layer_cannot_be(sections: str, expected: str) -> None:
    found = told(of(sections))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_training_keys_may_come_twice() -> None:
    read("[net]\nheight=8\nwidth=8\nchannels=1\nmomentum=1\nmomentum=2\n[maxpool]\n")


def test_keys_that_are_refused_may_be_zero() -> None:
    read(of("[convolutional] filters=3 binary=0 antialiasing=0 [softmax] noloss=1"))


# ---------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    "sections",
    [
        "[convolutional] filters=2000000000",
        "[convolutional] filters=2000000000 size=2000000000 pad=1",
        "[convolutional] filters=1 padding=2000000000",
        "[convolutional] filters=99999999999999999999999",
        "[convolutional] filters=-3",
        "[convolutional] filters=1 stride=2000000000 groups=-1",
        "[connected] output=2000000000 [connected] output=2000000000 [route] layers=-1,-2,-1,-1",
        "[local] filters=2147483647 size=1 [local] filters=2147483647",
        "[maxpool] size=1000000000 stride=1000000000",
        "[maxpool] size=2 padding=2000000000",
        "[upsample] stride=100000",
        "[upsample] stride=2147483647",
        "[crop] crop_height=0 crop_width=0",
        "[softmax] temperature=0",
        "[softmax] temperature=1e999",
        "[dropout] probability=nan",
        "[route] layers=" + "0," * 200_000,
    ],
)
def test_hostile_numbers_are_errors_or_harmless(sections: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with suppress(CompileError):
        write_source(read(of(sections)).graph)
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


def test_inputs_beside_sizes_that_make_others() -> None:
    head = "[net]\nheight=2\nwidth=3\nchannels=4\ninputs="
    assert len(read(f"{head}24\n[maxpool]\n").graph.nodes) == 1
    assert told(f"{head}25\n[maxpool]\n") == [
        "CNN307 5:8 [net]: inputs is 25, and the sizes make 24"
    ]


def test_inputs_beyond_all_sizes() -> None:
    head = "[net]\nheight=2147483647\nwidth=2147483647\nchannels=3\n[dropout]\n"
    assert told(head)[0].startswith("CNN403 1:2")
    assert told(head.replace("2147483647", "9" * 30))[0].startswith("CNN403 2:8")


def test_thousands_of_sections() -> None:
    start = time.process_time()
    text = of("[maxpool]") + "[shortcut]\nfrom=-1\n" * 3_000
    assert len(read(text).graph.nodes) == 3_001
    assert time.process_time() - start < 20
    found = told("[net]\nheight=8\nwidth=8\nchannels=1\n" + "[dropout]\n" * (MAX_NODES + 5))
    assert found == [f"CNN401 {MAX_NODES + 4}:1 the file has more than {MAX_NODES:_} sections"]
    assert len(told("[net]\n" + "[what]\n" * 100_000)) == 50


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cfgs(), st.data())
def test_damaged_files_are_read_or_refused(text: str, data: st.DataObject) -> None:
    damaged = list(text)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                damaged[place] = data.draw(st.sampled_from("[]=#;,-0123456789.ex \n\t"))
            case 1:
                del damaged[place : place + data.draw(st.integers(1, 20))]
            case 2:
                damaged[place:place] = data.draw(st.text(max_size=5))
        if not damaged:
            return
    with suppress(CompileError):
        imported = read("".join(damaged))
        write_source(imported.graph, imported.comments)


# ---------------------------------------------------------------------------- weights

NET = "[convolutional] filters=2 size=3 batch_normalize=1 activation=leaky [connected] output=3"


def weights_of(text: str) -> bytes:
    network = Darknet(text, random=np.random.default_rng(0))
    network.forward(picture(text))
    return network.file()


def refusal(data: bytes, folder: Path, text: str = "") -> str:
    path = folder / "net.weights"
    path.write_bytes(data)
    with pytest.raises(CompileError) as caught:
        import_cfg(Source("net.cfg", text or of(NET)), path)
    (found,) = caught.value.diagnostics
    return f"{found.code} {found.message}".replace(str(folder), "")


def test_weights_of_every_other_length_are_refused(tmp_path: Path) -> None:
    whole = weights_of(of(NET))
    for length in [*range(24), *range(24, len(whole), 97), len(whole) - 1, len(whole) - 4]:
        found = refusal(whole[:length], tmp_path)
        assert found.startswith("CNN601 /net.weights h"), found
    assert refusal(whole[:300], tmp_path) == (
        "CNN601 /net.weights holds 70 numbers, and the network has 227: "
        "it ends within [convolutional], layer 0 (line 5 of the .cfg file)"
    )
    assert refusal(whole[:400], tmp_path).endswith(
        "[connected], layer 1 (line 10 of the .cfg file)"
    )
    assert refusal(whole + b"\0", tmp_path).endswith("227 numbers, and the network has only 227")
    assert refusal(whole + bytes(8), tmp_path).endswith("229 numbers, and the network has only 227")


def test_a_variance_below_zero_belongs_to_other_weights(tmp_path: Path) -> None:
    data = bytearray(weights_of(of(NET)))
    for wrong in (-1.0, np.nan):
        data[20 + 4 * 6 : 20 + 4 * 7] = np.array([wrong], "<f4").tobytes()
        assert "a variance of [convolutional], layer 0" in refusal(bytes(data), tmp_path)


def test_a_network_of_terabytes_asks_for_no_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = of("[avgpool] [connected] output=2000000000 [connected] output=2000")
    assert "and the network has 4_010_" in refusal(bytes(1000), tmp_path, text)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_weights_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.weights", tmp_path):
        with pytest.raises(CompileError) as caught:
            import_cfg(Source("net.cfg", of(NET)), path)
        assert caught.value.diagnostics[0].code == "CNN801"


@given(st.integers(0, 15), st.binary(min_size=1, max_size=4))
def test_damaged_headers_are_read_or_refused(place: int, change: bytes) -> None:
    text = "[net]\nheight=2\nwidth=2\nchannels=1\n[convolutional]\nfilters=1\n"
    data = bytearray(weights_of(text))
    data[place : place + len(change)] = change
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"cnndsl-{os.getpid()}.weights"
    path.write_bytes(bytes(data))
    try:
        with suppress(CompileError):
            assert len(import_cfg(Source("net.cfg", text), path).weights) == 2
    finally:
        path.unlink()
