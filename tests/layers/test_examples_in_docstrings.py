"""What the docstrings of layers and cells show is what happens."""

import pytest
from examples_in_docstrings import check_examples, modules_of, without_example


@pytest.mark.parametrize("name", modules_of("gatewise.cells", "gatewise.layers"))
def test_examples(name):
    check_examples(name)


@pytest.mark.parametrize("name", ["cells", "layers"])
def test_every_public_name_has_an_example(name):
    assert without_example(f"gatewise.{name}") == []
