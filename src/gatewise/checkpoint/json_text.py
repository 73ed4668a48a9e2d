"""JSON text within limits: a header as text, and the text of any file read without trust."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from gatewise.errors import CheckpointError

from .codec import MAX_LEVELS, Codec, NonFinite
from .refusal import Refused, short

MAX_JSON_BYTES = 100_000_000  # safetensors' own limit
MAX_JSON_VALUES = 1_000_000  # a parsed value may take 50 times the memory of its text
MAX_JSON_DEPTH = MAX_LEVELS + 1  # the header is in the object that has it and its version
MAX_NUMBER_LENGTH = 1000  # characters; reading an integer takes time quadratic in its length

HEADER = Codec(NonFinite("$float"))


def decode_header(packed: Any) -> dict[str, Any]:
    """Return the header of the JSON values that it was written as."""
    try:
        header = HEADER.decode(packed)
    except CheckpointError as error:
        raise Refused(f"is damaged: in its header {error}") from None
    if type(header) is not dict:
        raise Refused(f"is damaged: its header is {short(header)}, not a dict")
    return header


def parse_json(data: bytes | str, what: str) -> dict[str, Any]:
    """Return the dict of a JSON text, within the limits at the head of this file."""
    try:
        data = data if isinstance(data, bytes) else data.encode()
        # without escapes, which could be taken for the end of a string
        bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Each value has at most two quotation marks around it and two around its key.
        values = max(data.count(b",") + data.count(b"[") + data.count(b"{"), bare.count(b'"') // 4)
        if values > MAX_JSON_VALUES:
            raise Refused(
                f"has a {what} of about {values} JSON values; at most {MAX_JSON_VALUES} are allowed"
            )
        # The parser recurses, so depth is measured before it: with strings and all else but
        # brackets gone, each pass removes the innermost pairs.
        brackets = re.sub(rb'"[^"]*"|[^][{}"]+', b"", bare).translate(bytes.maketrans(b"{}", b"[]"))
        for _ in range(MAX_JSON_DEPTH):
            brackets = brackets.replace(b"[]", b"")
        if brackets:
            raise Refused(
                f"has a {what} nested deeper than {MAX_JSON_DEPTH - 1} levels, or with unpaired"
                " brackets"
            )
        value = json.loads(
            data.decode(),
            object_pairs_hook=_without_duplicates,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_number,
        )
        # an escape may spell half a character, which cannot be printed or written
        if rb"\ud" in data.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:  # not UTF-8, or not JSON; the cause would keep the whole text alive
        raise Refused(f"is damaged: its {what} is not JSON in UTF-8: {error}") from None
    if type(value) is not dict:
        raise Refused(f"is damaged: its {what} is {short(value)}, not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Refused(f"is damaged: {short(twice)} occurs twice in one JSON object")
    return result


def _number(text: str) -> int | float:
    """An integer or a finite float; Python's parser accepts NaN, infinities and any length, too."""
    if len(text) > MAX_NUMBER_LENGTH + (text[0] == "-"):
        raise Refused(
            f"has a number of {len(text)} characters; at most {MAX_NUMBER_LENGTH} are allowed"
        )
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"is damaged: the number {text} is not finite")
    return value
