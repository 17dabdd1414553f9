"""ONNX models: one small function per op, in files by family."""
