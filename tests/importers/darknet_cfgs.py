"""Small random .cfg files that Darknet would take, as strategies."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

_ACTIVATIONS = """linear logistic loggy relu relu6 elu selu relie ramp leaky tanh plse lhtan hardtan
swish mish"""  # the last two in some sections only
ACTIVATIONS = _ACTIVATIONS.split()
_SECTIONS = """convolutional convolutional convolutional connected local maxpool local_avgpool
avgpool activation dropout softmax route route shortcut upsample reorg reorg3d crop scale_channels
sam yolo region detection empty"""


@dataclass
class Cfg:
    """A file under construction; `shapes` are [channels, height, width] of its layers."""

    draw: st.DrawFn
    now: tuple[int, int, int]
    lines: list[str] = field(default_factory=list)
    shapes: list[tuple[int, int, int] | None] = field(default_factory=list)

    def one(self, *values: int) -> int:
        return self.draw(st.sampled_from(values))

    def write(self, name: str, **keys: object) -> None:
        entries = self.draw(st.permutations([f"{k.rstrip('_')}={v}" for k, v in keys.items()]))
        self.lines += ["", f"[{name}]", *entries]
        self.shapes.append(self.now if name not in ("yolo", "region", "detection") else None)

    def earlier(self, fits: list[int]) -> str:
        """Return the number of one of some layers, relative or absolute."""
        index = self.draw(st.sampled_from(fits))
        here = len(self.shapes)
        return str(self.draw(st.sampled_from((index, index - here))))

    def word(self, words: list[str] = ACTIVATIONS[:-2]) -> str:
        return self.draw(st.sampled_from(words))

    def section(self) -> None:
        name = self.draw(st.sampled_from(_SECTIONS.split()))
        c, h, w = self.now
        if self.shapes and self.shapes[-1] is None:
            name = "route"  # nothing reads boxes
        getattr(self, f"_{name}")(c, h, w)

    # ------------------------------------------------------------------ sections

    def _convolutional(self, c: int, h: int, w: int) -> None:
        groups = self.one(*[g for g in (1, 1, 1, 2, c) if c % g == 0])
        filters, size = groups * self.one(1, 2, 3), self.one(1, 2, 3, 5)
        keys: dict[str, object] = {"filters": filters, "size": size}
        keys["activation"] = self.word(ACTIVATIONS)
        pad = 0
        match self.one(0, 1, 2):
            case 1:
                keys["pad"] = 1
                keys["padding"] = 7  # which pad=1 overrides
                pad = size // 2
            case 2:
                keys["padding"] = pad = self.one(0, 1, 2)
        sx = sy = self.one(1, 1, 2, 3)
        if self.one(0, 0, 0, 1):
            sx, sy = keys["stride_x"], keys["stride_y"] = self.one(1, 2), self.one(1, 2)
        else:
            keys["stride"] = sx
        if size % 2 and pad == size // 2 and self.one(0, 1):
            keys["dilation"] = self.one(1, 2)
        keys["batch_normalize"] = self.one(0, 1)
        if groups > 1 or self.one(0, 1):
            keys["groups"] = groups
        if self.one(0, 0, 0, 1):
            keys["flipped"] = 1
        if min(h, w) + 2 * pad < size:
            return
        self.now = (filters, (h + 2 * pad - size) // sy + 1, (w + 2 * pad - size) // sx + 1)
        self.write("convolutional", **keys)

    def _connected(self, c: int, h: int, w: int) -> None:
        self.now = (self.one(4, 8), 1, 1)
        norm = self.one(0, 1)
        self.write("connected", output=self.now[0], activation=self.word(), batch_normalize=norm)

    def _local(self, c: int, h: int, w: int) -> None:
        filters, stride, size, pad = self.one(1, 2), self.one(1, 2), self.one(1, 2, 3), 0
        if size == 3 and self.one(0, 1):
            pad = 1
        if min(h, w) < size:
            return
        spans = [(n - 1 if pad else n - size) // stride + 1 for n in (h, w)]
        self.now = (filters, spans[0], spans[1])
        self.write(
            "local", filters=filters, size=size, stride=stride, pad=pad, activation=self.word()
        )

    def _maxpool(self, c: int, h: int, w: int, name: str = "maxpool") -> None:
        size, stride = self.one(1, 2, 3, 5), self.one(1, 2, 3)
        padding = self.one(size - 1, size - 1, 0, 1)
        if padding - padding // 2 >= size or min(h, w) + padding < size:
            return
        keys: dict[str, object] = {"size": size, "stride": stride}
        if padding != size - 1:
            keys["padding"] = padding
        self.now = (c, (h + padding - size) // stride + 1, (w + padding - size) // stride + 1)
        self.write(name, **keys)

    def _local_avgpool(self, c: int, h: int, w: int) -> None:
        self._maxpool(c, h, w, "local_avgpool")

    def _avgpool(self, c: int, h: int, w: int) -> None:
        self.now = (c, 1, 1)
        self.write("avgpool")

    def _activation(self, c: int, h: int, w: int) -> None:
        self.write("activation", activation=self.word())

    def _dropout(self, c: int, h: int, w: int) -> None:
        self.write("dropout", probability=0.5)

    def _empty(self, c: int, h: int, w: int) -> None:
        self.write("empty")

    def _softmax(self, c: int, h: int, w: int) -> None:
        if h * w == 1:
            groups = self.one(*[g for g in (1, 2) if c % g == 0])
            self.write("softmax", groups=groups, temperature=self.one(1, 2))

    def _route(self, c: int, h: int, w: int) -> None:
        known = [i for i, shape in enumerate(self.shapes) if shape is not None]
        if not known:
            return
        first = self.earlier(known)
        index = int(first) if int(first) >= 0 else len(self.shapes) + int(first)
        shape = self.shapes[index]
        assert shape is not None
        groups = self.one(*[g for g in (1, 1, 2) if shape[0] % g == 0])
        alike = [
            i
            for i in known
            if (s := self.shapes[i]) is not None and s[1:] == shape[1:] and s[0] % groups == 0
        ]
        layers = [first, *(self.earlier(alike) for _ in range(self.one(0, 1, 2)))]
        width = 0
        for layer in layers:
            at = int(layer) if int(layer) >= 0 else len(self.shapes) + int(layer)
            found = self.shapes[at]
            assert found is not None
            width += found[0] // groups
        self.now = (width, *shape[1:])
        keys: dict[str, object] = {"layers": " , ".join(layers)}
        if groups > 1:
            keys |= {"groups": groups, "group_id": self.one(0, 1)}
        self.write("route", **keys)

    def _shortcut(self, c: int, h: int, w: int) -> None:
        fits = [i for i, s in enumerate(self.shapes) if s is not None and s[1:] == (h, w)]
        if fits:
            layers = [self.earlier(fits) for _ in range(self.one(1, 1, 2))]
            self.write("shortcut", from_=",".join(layers), activation=self.word(ACTIVATIONS))

    def _upsample(self, c: int, h: int, w: int) -> None:
        stride = self.one(1, 2)
        if h * w <= 64:
            self.now = (c, h * stride, w * stride)
            self.write("upsample", stride=stride, scale=self.one(1, 1, 3))

    def _reorg(self, c: int, h: int, w: int, name: str = "reorg") -> None:
        if c % 4 == 0 and self.one(0, 1):
            self.now = (c // 4, h * 2, w * 2)
            self.write(name, stride=2, reverse=1)
        elif h % 2 == 0 and w % 2 == 0 and (c % 4 == 0 or name == "reorg3d") and c <= 16:
            self.now = (c * 4, h // 2, w // 2)
            self.write(name, stride=2)

    def _reorg3d(self, c: int, h: int, w: int) -> None:
        self._reorg(c, h, w, "reorg3d")

    def _crop(self, c: int, h: int, w: int) -> None:
        height, width = max(h - self.one(0, 1, 2), 1), max(w - self.one(0, 1, 2), 1)
        self.now = (c, height, width)
        self.write("crop", crop_height=height, crop_width=width, noadjust=self.one(0, 1))

    def _scale_channels(self, c: int, h: int, w: int) -> None:
        fits = [i for i, s in enumerate(self.shapes) if s is not None and s[0] == c]
        if (h, w) == (1, 1) and fits:
            at = self.earlier(fits)
            index = int(at) if int(at) >= 0 else len(self.shapes) + int(at)
            shape = self.shapes[index]
            assert shape is not None
            self.now = shape
            self.write("scale_channels", from_=at, activation=self.word(["linear", "leaky"]))

    def _sam(self, c: int, h: int, w: int) -> None:
        fits = [i for i, s in enumerate(self.shapes) if s == self.now]
        if fits:
            self.write("sam", from_=self.earlier(fits), activation=self.word(["linear", "relu"]))

    def _yolo(self, c: int, h: int, w: int) -> None:
        classes, boxes = self.one(1, 2), self.one(1, 2)
        self.now = (boxes * (5 + classes), h, w)
        self.write("convolutional", filters=self.now[0], size=1, activation=self.word(["linear"]))
        if self.one(0, 1):
            mask = "0,2" if boxes == 2 else "1"
            self.write("yolo", classes=classes, num=3, mask=mask, anchors="1,2, 3,4, 5,6")
        else:
            self.write("region", classes=classes, num=boxes, coords=4, softmax=1)

    _region = _yolo

    def _detection(self, c: int, h: int, w: int) -> None:
        self.now = (4 * (2 + 5), 1, 1)
        self.write("connected", output=self.now[0], activation="linear")
        self.write("detection", classes=2, coords=4, num=1, side=2)


@st.composite
def cfgs(draw: st.DrawFn) -> str:
    shape = (draw(st.sampled_from((1, 3, 4))), draw(st.integers(4, 9)), draw(st.integers(4, 9)))
    cfg = Cfg(draw, shape)
    cfg.lines += ["[net]", f"channels={shape[0]}  # of colour", f"width={shape[2]}"]
    cfg.lines += [f"height={shape[1]} ; rows", "batch=64"]
    for _ in range(draw(st.integers(1, 9))):
        cfg.section()
    if not cfg.shapes:
        cfg._convolutional(*cfg.now)
    if not cfg.shapes:
        cfg._dropout(*cfg.now)
    return "\n".join(cfg.lines) + "\n"
