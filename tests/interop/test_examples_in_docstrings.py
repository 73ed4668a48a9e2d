"""What the docstrings of gatewise.interop show is what happens."""

import pytest
from examples_in_docstrings import check_examples, modules_of


@pytest.mark.parametrize("name", modules_of("gatewise.interop.c"))
def test_examples(name):
    check_examples(name)
