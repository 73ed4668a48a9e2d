"""Models and weights from and for other programs: PyTorch, Keras, ONNX, and C.

Their modules load on first use, and need none of these frameworks.
"""
