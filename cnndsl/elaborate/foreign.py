"""Words of PyTorch and Keras, and of Python, that people write from habit: what ours are."""

from __future__ import annotations

import re

_AXES = re.compile(r"_?[123]d$")

_LAYERS = {
    "conv": "`conv3x3(channels)`: the kernel is part of the word",
    "convolution": "`conv3x3(channels)`: the kernel is part of the word",
    "convtranspose": "`deconv2x2(channels, stride=2)`",
    "depthwiseconv": "`dwconv3x3`",
    "separableconv": "`dwconv3x3 -> conv1x1(channels)`",
    "locallyconnected": "`local3x3(channels)`",
    "linear": "`dense(features)`",
    "fc": "`dense(features)`",
    "fullyconnected": "`dense(features)`",
    "batchnorm": "`bn`",
    "batchnormalization": "`bn`",
    "layernormalization": "`layernorm`",
    "localresponsenorm": "`lrn`",
    "maxpooling": "`maxpool2x2`: the kernel is part of the word",
    "maxpool": "`maxpool2x2`: the kernel is part of the word",
    "averagepooling": "`avgpool2x2`: the kernel is part of the word",
    "avgpooling": "`avgpool2x2`: the kernel is part of the word",
    "avgpool": "`avgpool2x2`: the kernel is part of the word",
    "averagepool": "`avgpool2x2`: the kernel is part of the word",
    "adaptiveavgpool": "`global_avgpool`",
    "adaptivemaxpool": "`global_maxpool`",
    "globalaveragepooling": "`global_avgpool`",
    "globalmaxpooling": "`global_maxpool`",
    "gap": "`global_avgpool`",
    "cat": "`[a, b] -> layer`: tensors in a list are concatenated",
    "concatenate": "`[a, b] -> layer`: tensors in a list are concatenated",
    "sequential": "`a -> b -> c`",
    "upsampling": "`upsample(2)`",
    "pixelshuffle": "`depth_to_space(2, mode=\"crd\")`",
    "zeropadding": "`pad(1)`, or a layer's own `padding=1`",
    "swish": "`silu`",
    "hardswish": "`hard_swish`",
    "hardsigmoid": "`hard_sigmoid`",
    "rf": "`receptive_field(x)`",
    "receptivefield": "`receptive_field(x)`",
}  # fmt: skip

_ARGUMENTS = {
    "kernel_size": "kernel",
    "pool_size": "kernel",
    "strides": "stride",
    "filters": "out_channels",
    "units": "out_features",
    "channels": "out_channels",
    "dilation_rate": "dilation",
    "use_bias": "bias",
    "eps": "epsilon",
    "p": "rate",
    "alpha": "slope",
    "negative_slope": "slope",
    "dim": "axis",
    "scale_factor": "scale",
    "size": "scale",
    "num_groups": "groups",
    "count_include_pad": "count_padding",
}
_NOT_NEEDED = {
    "activation": "put it behind: `layer -> relu`",
    "in_channels": "leave it out: the input tells its channels",
    "in_features": "leave it out: the input tells its features",
    "num_features": "leave it out: the input tells its channels",
    "input_shape": "leave it out: `input image: float32[N, 3, H, W]` tells the shape",
    "momentum": "leave it out: it matters in training only",
    "inplace": "leave it out: buffers are planned for you",
    "padding_mode": "put `pad(1, mode=...)` before the layer, with `padding=valid`",
}
_VALUES = {
    "True": "write `true`",
    "False": "write `false`",
    "None": "leave the argument out",
    "null": "leave the argument out",
    "flops": "write `2 * macs`: two per multiply-accumulate",
    "parameters": "write `params`",
}


def foreign_layer(name: str) -> str | None:
    """Return the help for a layer as PyTorch or Keras call it."""
    word = _AXES.sub("", name.lower()).replace("_", "")
    ours = _LAYERS.get(word)
    return f"write {ours}" if ours else None


def foreign_argument(name: str, known: tuple[str, ...]) -> str | None:
    """Return the help for an argument as PyTorch or Keras call it, if the op has one like it."""
    ours = _ARGUMENTS.get(name)
    return f"it is called `{ours}` here" if ours in known else _NOT_NEEDED.get(name)


def foreign_value(name: str) -> str | None:
    """Return the help for a constant of Python or JavaScript, or a figure that has another name."""
    return _VALUES.get(name)
