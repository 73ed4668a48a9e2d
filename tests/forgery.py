"""Files that lie: what a checkpoint says, changed at random, under a checksum that is right."""

import copy
import json
import struct

from gatewise.checkpoint import FORMAT_VERSION
from gatewise.checkpoint.layout import checksum_of

VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    2**31 - 1,
    2**31,
    2**62,
    2**63,
    2**64,
    10**30,
    -(10**30),
    0.0,
    0.5,
    1.0,
    -0.5,
    1e308,
    1e-320,
    float("nan"),
    float("inf"),
    "",
    "x",
    "lstm",
    "dense",
    "relu",
    "softmax",
    "adam",
    "float32",
    "float64",
    "mse",
    "l2",
    "LSTM",
    "GRU",
    "Dense",
    "Dropout",
    "Flatten",
    "Activation",
    "SimpleRNN",
    "Sequential",
    "__class__",
    "\0",
    "ü" * 300,
    [],
    [1],
    [None],
    [6, 2],
    [None, 2],
    [2**40, 2],
    [[]],
    [0] * 50,
    {},
    {"a": 1},
    {"class_name": "Zeros", "config": {}},
    {"class_name": "Constant", "config": {"value": 1e300}},
    {"class_name": "RandomUniform", "config": {"minval": 5}},
    {"l1": "a"},
    {"l1": 0.1, "l2": None},
    {"class_name": "Orthogonal", "config": {"gain": "x", "seed": [1]}},
    {"$tensor": "weights/dense/bias"},
    {"$tensor": 5},
    {"class_name": "OneCycle", "config": {"max_rate": 0.1, "total_steps": 10**9}},
    {"History": [{}]},
    {"EarlyStopping": [None, 5]},
]
SPLINTERS = [
    b"",
    b" ",
    *rb'0 9 -1 1e9 [ ] { } " \ , : null true NaN \ud800'.split(),
    *b"18446744073709551615 9223372036854775808".split(),
    b"\xff",
    b"\0",
    b'"a":1,',
    b"[[[[[[[[",
    b'{"$float":"nan"}',
    b'{"$tensor":"x"}',
    b'"$$":0,',
    b'"epoch":0,',
    b"[" * 70,
]


def take_apart(content):
    """A valid file as (list of (name, dtype, shape, data), header as JSON text in bytes)."""
    size = int.from_bytes(content[:8], "little")
    table, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    text = table.pop("__metadata__")["gatewise"]
    tensors = [
        [name, entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])]]
        for name, entry in table.items()
    ]
    return tensors, text.partition('"header":')[2][:-1].encode()


def put_together(tensors, header, version=FORMAT_VERSION):
    """A file of any tensors and any header text, with correct lengths, offsets and checksum."""
    covered = f'"format_version":{version},"header":{header.decode("utf-8", "replace")}}}'
    text = f'{{"checksum":{checksum_of(covered, sorted(tensors))},{covered}'
    entries, end = [f'"__metadata__":{json.dumps({"gatewise": text})}'], 0
    for name, code, shape, data in tensors:  # as text, since a name may occur twice
        place = {"dtype": code, "shape": shape, "data_offsets": [end, end + len(data)]}
        entries.append(f"{json.dumps(name)}:{json.dumps(place)}")
        end += len(data)
    table = "{" + ",".join(entries) + "}"
    return struct.pack("<Q", len(table)) + table.encode() + b"".join(part[3] for part in tensors)


def places(value, path=()):
    """Paths to every value inside."""
    yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield from places(inner, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def change_header(header, draw, below=()):
    """Change one to three places: another value there, or one from elsewhere.

    Remove, repeat or rename what stands there.
    """
    for _ in range(draw.randint(1, 3)):
        paths = [path for path in places(header) if path and path[: len(below)] == below]
        if not paths:
            return
        path = draw.choice(paths)
        parent, key, kind = at(header, path[:-1]), path[-1], draw.randrange(8)
        if kind < 4:
            parent[key] = copy.deepcopy(draw.choice(VALUES))
        elif kind == 4:
            parent[key] = copy.deepcopy(at(header, draw.choice(paths)))
        elif kind == 5:
            del parent[key]
        elif isinstance(parent, list):
            parent.insert(draw.randint(0, len(parent)), copy.deepcopy(parent[key]))
        elif (
            kind == 6 and isinstance(parent[key], int | float) and not isinstance(parent[key], bool)
        ):
            parent[key] = parent[key] * draw.choice([-1, 2, 1e6, 0.5, 3])
        else:
            parent[str(draw.choice(VALUES))] = parent.pop(key)


def change_tensors(tensors, draw):
    """Change one tensor: its bytes, dtype, shape or name.

    Or leave it out, repeat it, or put another's data there.
    """
    if not tensors:
        return
    tensor, kind = draw.choice(tensors), draw.randrange(10)
    name, code, shape, data = tensor
    if kind == 0 and data:
        spot = draw.randrange(len(data))
        tensor[3] = data[:spot] + bytes([data[spot] ^ 1 << draw.randrange(8)]) + data[spot + 1 :]
    elif kind == 1:
        tensor[3] = draw.choice([b"\xff", b"\x7f", b"\0"]) * len(data)
    elif kind == 2:
        tensor[1] = draw.choice(
            ["F64", "F32", "F16", "I64", "I32", "BOOL", "U8", "C64", "BF16", "X"]
        )
    elif kind == 3:
        tensor[2] = draw.choice(
            [
                [],
                shape[::-1],
                [1, *shape],
                [*shape, 0],
                [2**62, 0],
                [2**40],
                [-1],
                [1] * 33,
                shape[:-1],
                ["x"],
            ]
        )
    elif kind == 4:
        names = [
            name + "x",
            "run/x",
            "weights/x/kernel",
            "state/x/h",
            "optimizer/x",
            "",
            "ü" * 1025,
            draw.choice(tensors)[0],
        ]
        tensor[0] = draw.choice(names)
    elif kind == 5:
        tensors.remove(tensor)
    elif kind == 6:
        tensors.append(list(tensor))
    elif kind == 7:
        tensor[1:] = draw.choice(tensors)[1:]
    elif kind == 8 and shape and shape[0]:  # fewer or more rows, and the bytes to go with them
        rows = draw.choice([0, 1, shape[0] - 1, shape[0] + 1, 2 * shape[0]])
        row = len(data) // shape[0]
        tensor[2], tensor[3] = [rows, *shape[1:]], (data * 2)[: rows * row].ljust(rows * row, b"\0")
    else:
        tensors.append(["run/x", "F32", [1], bytes(4)])


def change_text(text, draw):
    """Put splinters of JSON into a text."""
    for _ in range(draw.choice([1, 1, 2, 5])):
        start = draw.randint(0, len(text))
        end = start + draw.randrange(20)
        text = (
            text[:start] + draw.choice([draw.choice(SPLINTERS), text[end : end + 40]]) + text[end:]
        )
    return text


def change_bytes(content, draw):
    """Cut, flip a bit of, or put splinters into a whole file; nothing is mended."""
    kind = draw.randrange(3)
    if kind == 0:
        return content[: draw.randrange(len(content))]
    if kind == 1:
        spot = draw.randrange(len(content))
        return (
            content[:spot] + bytes([content[spot] ^ 1 << draw.randrange(8)]) + content[spot + 1 :]
        )
    return change_text(content, draw)


def forge(content, draw):
    """A changed copy of a good file, nearly always with a checksum that is right."""
    kind = draw.randrange(10)
    if kind == 0:
        return change_bytes(content, draw)
    tensors, text = take_apart(content)
    if kind == 1:
        text = change_text(text, draw)
    elif kind < 4:
        change_tensors(tensors, draw)
    else:
        header = json.loads(text)
        below = ("run",) if kind > 6 and "run" in header else ()
        change_header(header, draw, below)
        text = json.dumps(_as_json(header), ensure_ascii=False).encode("utf-8", "replace")
    return put_together(tensors, text)


def _as_json(value):
    """NaN and infinities as a file spells them."""
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return {"$float": str(value)}
    if isinstance(value, dict):
        return {key: _as_json(part) for key, part in value.items()}
    return [_as_json(part) for part in value] if isinstance(value, list) else value
