"""Why ops of ONNX that no layer of the language does are not read."""

from __future__ import annotations

_QUANTISED = (
    "QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger "
    "MatMulInteger"
)
_CONTROL = "If Loop Scan SequenceMap"
_RECURRENT = "LSTM GRU RNN CausalConvWithState LinearAttention"
_RANDOM = "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial"
_TRAINING = "Gradient Momentum Adagrad Adam SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss"

_KINDS = (
    (_QUANTISED, "quantised models are not read", "import the float model it was made from"),
    (_CONTROL, "the language has no control flow on tensors", None),
    (_RECURRENT, "the language has no recurrent layers", None),
    (_RANDOM, "the language has no random numbers", None),
    (_TRAINING, "it belongs to training, and a network is imported for inference", None),
)
_REASONS = {op: (reason, help) for ops, reason, help in _KINDS for op in ops.split()}


def reason_for(op: str, version: int) -> tuple[str, str | None]:
    """Return why an op has no layer, and what to do; `version` is 0 for ops of no standard."""
    if version == 0:
        return "ONNX has no such op in this version", None
    return _REASONS.get(op, ("the language has no such layer", None))
