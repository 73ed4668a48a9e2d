"""What the docstrings of gatewise.interop.onnx show is what happens."""

import pytest
from examples_in_docstrings import check_examples, modules_of

pytest.importorskip("onnx", reason="the examples read and write ONNX models")


@pytest.mark.parametrize("name", modules_of("gatewise.interop.onnx"))
def test_examples(name):
    check_examples(name)
