"""Darknet in plain NumPy: what a .cfg and a .weights file compute, written after Darknet's loops.

It shares nothing with cnndsl. Values are float64 arrays [batch, channels, height, width], a vector
being a map of 1x1. What Darknet's `yolo` and the like make of their input is left out: the input is
the result. Batch norms are those of its GPU code and of its forks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BOXES = ("yolo", "region", "detection")


def parse(text: str) -> list[tuple[str, dict[str, str]]]:
    sections: list[tuple[str, dict[str, str]]] = []
    for line in text.splitlines():
        line = line.split("#")[0].split(";")[0].replace(" ", "").replace("\t", "")
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif line:
            key, value = line.split("=")
            sections[-1][1][key] = value
    return sections


def activate(name: str, x: Array) -> Array:
    match name:
        case "linear":
            return x
        case "logistic":
            return 1 / (1 + np.exp(-x))
        case "loggy":
            return 2 / (1 + np.exp(-x)) - 1
        case "relu":
            return x * (x > 0)
        case "relu6":
            return np.minimum(np.maximum(x, 0), 6)
        case "elu":
            return (x >= 0) * x + (x < 0) * (np.exp(np.minimum(x, 0)) - 1)
        case "selu":
            below = 1.0507 * 1.6732 * (np.exp(np.minimum(x, 0)) - 1)
            return (x >= 0) * 1.0507 * x + (x < 0) * below
        case "relie":
            return np.where(x > 0, x, 0.01 * x)
        case "ramp":
            return x * (x > 0) + 0.1 * x
        case "leaky":
            return np.where(x > 0, x, 0.1 * x)
        case "tanh":
            return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)
        case "plse":
            middle = 0.125 * x + 0.5
            return np.where(x < -4, 0.01 * (x + 4), np.where(x > 4, 0.01 * (x - 4) + 1, middle))
        case "lhtan":
            return np.where(x < 0, 0.001 * x, np.where(x > 1, 0.001 * (x - 1) + 1, x))
        case "hardtan":
            return np.where(x < -1, -1.0, np.where(x > 1, 1.0, x))
        case "swish":
            return x / (1 + np.exp(-x))
        case "mish":
            return x * np.tanh(np.log(np.exp(x) + 1))
    raise ValueError(name)


def im2col(x: Array, size: int, sy: int, sx: int, pad: int, dilation: int) -> Array:
    """Return [batch, channels * size * size, positions], as Darknet lays it out."""
    n, c, h, w = x.shape
    span = dilation * (size - 1) + 1
    oh, ow = (h + 2 * pad - span) // sy + 1, (w + 2 * pad - span) // sx + 1
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad))
    padded[:, :, pad : pad + h, pad : pad + w] = x
    columns = np.zeros((n, c, size, size, oh, ow))
    for ky in range(size):
        for kx in range(size):
            for oy in range(oh):
                for ox in range(ow):
                    y, at = oy * sy + ky * dilation, ox * sx + kx * dilation
                    columns[:, :, ky, kx, oy, ox] = padded[:, :, y, at]
    return columns.reshape(n, c * size * size, oh * ow)


@dataclass
class Darknet:
    """A network. `numbers` counts those of a .weights file that `forward` reads, in order."""

    text: str
    weights: bytes = b""
    random: np.random.Generator | None = None
    calm: bool = False
    """Whether random kernels keep the size of what they read, as in deep networks."""
    written: list[NDArray[np.float32]] = field(default_factory=list)
    place: int = 0

    def forward(self, image: Array) -> list[Array]:
        """Return what the network makes: the input of each layer of boxes, then the last layer.

        Without a file of weights random ones are drawn, and kept in `written`.
        """
        self.start()
        layers: list[Array] = []
        results: list[Array] = []
        x = image.astype(np.float64)
        sections = parse(self.text)[1:]
        for index, (name, o) in enumerate(sections):
            if name in BOXES:
                results.append(x)
                layers.append(x)
                continue
            x = self.layer(name, o, x, layers, index)
            layers.append(x)
        if sections[-1][0] not in BOXES:
            results.append(x)
        return results

    # ------------------------------------------------------------------- weights

    def start(self) -> None:
        if not self.weights:
            return
        major, minor, _ = struct.unpack("<iii", self.weights[:12])
        self.transposed = major > 1000 or minor > 1000
        wide = major * 10 + minor >= 2 and major < 1000 and minor < 1000
        self.place = 20 if wide else 16

    def take(self, count: int, positive: bool = False, taps: int = 4) -> Array:
        """Return the next numbers; `taps` of them make a sum, if they are kernels."""
        if self.random is not None:
            spread = np.float32((2 / taps) ** 0.5 if self.calm else 0.5)
            array = self.random.standard_normal(count, np.float32) * spread
            array = np.abs(array) + np.float32(0.5 if self.calm else 0.05) if positive else array
            self.written.append(array)
            return array.astype(np.float64)
        end = self.place + 4 * count
        assert end <= len(self.weights), "the file is too short"
        array = np.frombuffer(self.weights, "<f4", count, self.place)
        self.place = end
        return array.astype(np.float64)

    def file(self, version: tuple[int, int, int] = (0, 2, 0), seen: int = 7) -> bytes:
        """Return the random weights that were drawn as a .weights file."""
        wide = version[0] * 10 + version[1] >= 2
        header = struct.pack("<iii", *version) + struct.pack("<Q" if wide else "<I", seen)
        return header + b"".join(array.astype("<f4").tobytes() for array in self.written)

    # -------------------------------------------------------------------- layers

    def layer(
        self, name: str, o: dict[str, str], x: Array, layers: list[Array], index: int
    ) -> Array:
        def number(key: str, default: int) -> int:
            return int(o.get(key, default))

        def sources(key: str) -> list[Array]:
            numbers = [int(n) for n in o[key].split(",")]
            return [layers[index + n if n < 0 else n] for n in numbers]

        n, c, h, w = x.shape
        if name == "convolutional":
            return self.convolutional(o, x)
        if name == "connected":
            out = number("output", 1)
            bias, weight = self.take(out), self.take(out * c * h * w)
            if getattr(self, "transposed", False):
                matrix = weight.reshape(c * h * w, out).T
            else:
                matrix = weight.reshape(out, c * h * w)
            y = x.reshape(n, -1) @ matrix.T
            if number("batch_normalize", 0):
                scale, mean, variance = self.take(out), self.take(out), self.take(out, True)
                y = (y - mean) / np.sqrt(variance + 0.00001) * scale
            return activate(o.get("activation", "logistic"), y + bias).reshape(n, out, 1, 1)
        if name == "local":
            return self.local(o, x)
        if name in ("maxpool", "local_avgpool"):
            stride = number("stride", 1)
            sx, sy = number("stride_x", stride), number("stride_y", stride)
            size = number("size", stride)
            return pool(x, size, sx, sy, number("padding", size - 1), name == "maxpool")
        if name == "avgpool":
            return x.mean(axis=(2, 3), keepdims=True)
        if name == "activation":
            return activate(o.get("activation", "linear"), x)
        if name in ("dropout", "cost", "empty"):
            return x
        if name == "softmax":
            groups, temperature = number("groups", 1), float(o.get("temperature", 1))
            flat = x.reshape(n, groups, -1) / temperature
            powers = np.exp(flat - flat.max(axis=2, keepdims=True))
            return (powers / powers.sum(axis=2, keepdims=True)).reshape(x.shape)
        if name == "route":
            groups, group = number("groups", 1), number("group_id", 0)
            parts = []
            for source in sources("layers"):
                part = source.shape[1] // groups
                parts.append(source[:, part * group : part * (group + 1)])
            return np.concatenate(parts, axis=1)
        if name == "shortcut":
            y = x.copy()
            for other in sources("from"):
                least, step = min(c, other.shape[1]), other.shape[3] // w
                assert step == other.shape[2] // h
                y[:, :least] += other[:, :least, : h * step : step, : w * step : step]
            return activate(o.get("activation", "linear"), y)
        if name in ("scale_channels", "sam"):
            (other,) = sources("from")
            return activate(o.get("activation", "linear"), other * x)
        if name == "upsample":
            stride = number("stride", 2)
            y = np.zeros((n, c, h * stride, w * stride))
            for j in range(h * stride):
                for i in range(w * stride):
                    y[:, :, j, i] = float(o.get("scale", 1)) * x[:, :, j // stride, i // stride]
            return y
        if name in ("reorg", "reorg3d"):
            return reorganized(x, number("stride", 1), number("reverse", 0) != 0, name == "reorg")
        if name == "crop":
            height, width = number("crop_height", 1), number("crop_width", 1)
            top, left = (h - height) // 2, (w - width) // 2
            y = x[:, :, top : top + height, left : left + width]
            return y if number("noadjust", 0) else y * 2 - 1
        raise ValueError(name)

    def convolutional(self, o: dict[str, str], x: Array) -> Array:
        n, c, h, w = x.shape
        filters, size = int(o.get("filters", 1)), int(o.get("size", 1))
        groups = int(o.get("groups", 1))
        stride = int(o.get("stride", 1))
        sx, sy = int(o.get("stride_x", stride)), int(o.get("stride_y", stride))
        dilation = 1 if size == 1 else int(o.get("dilation", 1))
        pad = size // 2 if int(o.get("pad", 0)) else int(o.get("padding", 0))
        oh, ow = (h + 2 * pad - size) // sy + 1, (w + 2 * pad - size) // sx + 1
        bias = self.take(filters)
        norm = int(o.get("batch_normalize", 0))
        if norm:
            scale, mean = self.take(filters), self.take(filters)
            variance = self.take(filters, True)
        taps = c // groups * size * size
        weight = self.take(filters * taps, taps=taps)
        if int(o.get("flipped", 0)):
            weight = weight.reshape(taps, filters).T
        kernels = weight.reshape(groups, filters // groups, taps)
        y = np.zeros((n, filters, oh * ow))
        for group in range(groups):
            part = x[:, group * (c // groups) : (group + 1) * (c // groups)]
            columns = im2col(part, size, sy, sx, pad * dilation, dilation)
            width = filters // groups
            y[:, group * width : (group + 1) * width] = kernels[group] @ columns
        if norm:
            y = (y - mean[:, None]) / np.sqrt(variance[:, None] + 0.00001) * scale[:, None]
        y = (y + bias[:, None]).reshape(n, filters, oh, ow)
        return activate(o.get("activation", "logistic"), y)

    def local(self, o: dict[str, str], x: Array) -> Array:
        n, c, h, w = x.shape
        filters, size = int(o.get("filters", 1)), int(o.get("size", 1))
        stride, pad = int(o.get("stride", 1)), int(o.get("pad", 0))
        oh = (h - 1 if pad else h - size) // stride + 1
        ow = (w - 1 if pad else w - size) // stride + 1
        bias = self.take(filters * oh * ow).reshape(filters, oh * ow)
        weight = self.take(oh * ow * filters * c * size * size)
        kernels = weight.reshape(oh * ow, filters, c * size * size)
        columns = im2col(x, size, stride, stride, pad, 1)
        y = np.zeros((n, filters, oh * ow))
        for j in range(oh * ow):
            y[:, :, j] = columns[:, :, j] @ kernels[j].T
        return activate(o.get("activation", "logistic"), (y + bias).reshape(n, filters, oh, ow))


def pool(x: Array, size: int, sx: int, sy: int, padding: int, largest: bool) -> Array:
    n, c, h, w = x.shape
    oh, ow = (h + padding - size) // sy + 1, (w + padding - size) // sx + 1
    before = -(padding // 2)
    y = np.zeros((n, c, oh, ow))
    for i in range(oh):
        for j in range(ow):
            rows = [r for r in range(before + i * sy, before + i * sy + size) if 0 <= r < h]
            columns = [k for k in range(before + j * sx, before + j * sx + size) if 0 <= k < w]
            seen = x[:, :, rows][:, :, :, columns].reshape(n, c, -1)
            y[:, :, i, j] = seen.max(axis=2) if largest else seen.mean(axis=2)
    return y


def reorganized(x: Array, stride: int, reverse: bool, old: bool) -> Array:
    """Darknet's reorg_cpu on flat memory, with the extents that each kind of section gives it."""
    n, c, h, w = x.shape
    out = (
        (c // stride**2, h * stride, w * stride)
        if reverse
        else (c * stride**2, h // stride, w // stride)
    )
    out_c, out_h, out_w = (c, h, w) if old or reverse else out
    in_c = out_c // (stride * stride)
    flat = x.reshape(n, -1)
    result = np.zeros_like(flat)
    for k in range(out_c):
        for j in range(out_h):
            for i in range(out_w):
                small = i + out_w * (j + out_h * k)
                c2, offset = k % in_c, k // in_c
                w2, h2 = i * stride + offset % stride, j * stride + offset // stride
                large = w2 + out_w * stride * (h2 + out_h * stride * c2)
                if reverse:
                    result[:, large] = flat[:, small]
                else:
                    result[:, small] = flat[:, large]
    return result.reshape(n, *out)
