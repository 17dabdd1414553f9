"""ONNX models: read with care, constants folded, patterns recognised, ops mapped by family."""
