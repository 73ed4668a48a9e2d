"""The fenced blocks of a page: what its examples are.

``python tests/blocks.py README.md folder`` writes each Python block to a file of its own.
"""

import re
import sys
from pathlib import Path

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    """(line number, text) of the page's fenced blocks in a language, a list."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, block.start()) + 2, block[2])
        for block in _BLOCK.finditer(text)
        if block[1] == language
    ]


def without_blocks(page):
    """The page's text without its blocks, str."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    source, folder = map(Path, sys.argv[1:])
    for line, code in blocks(source, "python"):
        (folder / f"{source.stem.lower()}_line_{line}.py").write_text(code, encoding="utf-8")
