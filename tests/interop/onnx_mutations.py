"""Damaged and malicious ONNX files, made of good ones."""

import random

import onnx
from onnx import TensorProto, helper

HUGE = [0, 1, -1, 2, 3, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63)]


def mutate(data, seed):
    """Another file: some changed bytes, or a changed message."""
    draw = random.Random(seed)
    if draw.randrange(3) == 0:
        return _bytes(bytearray(data), draw)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # it was no model: nothing to take apart
        return _bytes(bytearray(data), draw)
    try:
        for _ in range(draw.randrange(1, 4)):
            draw.choice(_CHANGES)(model, draw)
    except UnicodeDecodeError:  # a name that an earlier change has damaged
        return _bytes(bytearray(data), draw)
    return model.SerializeToString()


def _bytes(data, draw):
    for _ in range(draw.randrange(1, 8)):
        if not data:
            break
        place = draw.randrange(len(data))
        kind = draw.randrange(4)
        if kind == 0:
            data[place] = draw.randrange(256)
        elif kind == 1:
            del data[place : place + draw.randrange(1, 40)]
        elif kind == 2:
            data[place:place] = data[draw.randrange(len(data)) :][: draw.randrange(1, 60)]
        else:
            del data[place:]
    return bytes(data)


def _tensor(model, draw):
    if model.graph.initializer:
        tensor = draw.choice(model.graph.initializer)
        if tensor.dims and draw.randrange(2):
            tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(HUGE)
        elif draw.randrange(2):
            tensor.dims.append(draw.choice(HUGE))
        else:
            tensor.data_type = draw.randrange(30)


def _external(model, draw):
    if model.graph.initializer:
        tensor = draw.choice(model.graph.initializer)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {
            "location": draw.choice(["/etc/passwd", "../x", "a/../../x", "", "x", "C:\\x", "x\0y"]),
            "offset": str(draw.choice(HUGE)),
            "length": draw.choice(["", "x", str(draw.choice(HUGE))]),
        }.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value


def _node(model, draw):
    if model.graph.node:
        node = draw.choice(model.graph.node)
        kind = draw.randrange(6)
        if kind == 0:
            node.op_type = draw.choice(
                [
                    "Relu",
                    "Loop",
                    "LSTM",
                    "Concat",
                    "Expand",
                    "Reshape",
                    "Tile",
                    "Mul",
                    "Conv",
                    "Nope",
                ]
            )
        elif kind == 1 and node.input:
            node.input[draw.randrange(len(node.input))] = _name(model, draw)
        elif kind == 2 and node.output:
            node.output[draw.randrange(len(node.output))] = _name(model, draw)
        elif kind == 3 and node.input:
            del node.input[draw.randrange(len(node.input))]
        elif kind == 4:
            node.domain = draw.choice(["", "com.microsoft", "ai.onnx"])
        else:
            node.input.append(_name(model, draw))


def _attribute(model, draw):
    nodes = [node for node in model.graph.node if node.attribute]
    if nodes:
        attribute = draw.choice(draw.choice(nodes).attribute)
        kind = draw.randrange(5)
        if kind == 0:
            attribute.i = draw.choice(HUGE)
        elif kind == 1 and attribute.ints:
            attribute.ints[draw.randrange(len(attribute.ints))] = draw.choice(HUGE)
        elif kind == 2:
            attribute.type = draw.randrange(15)
        elif kind == 3 and attribute.HasField("t") and attribute.t.dims:
            attribute.t.dims[0] = draw.choice(HUGE)
        else:
            attribute.name = draw.choice(["axis", "perm", "hidden_size", "value", "axes", "clip"])


def _order(model, draw):
    nodes = list(model.graph.node)
    if nodes:
        kind = draw.randrange(3)
        if kind == 0:
            draw.shuffle(nodes)
        elif kind == 1:
            nodes.append(draw.choice(nodes))
        else:
            nodes.remove(draw.choice(nodes))
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _port(model, draw):
    ports = list(model.graph.input) + list(model.graph.output)
    if ports:
        port = draw.choice(ports)
        dims = port.type.tensor_type.shape.dim
        kind = draw.randrange(5)
        if kind == 0 and dims:
            draw.choice(dims).dim_value = draw.choice(HUGE)
        elif kind == 1:
            dims.add().dim_param = draw.choice(["batch", "time", "n"])
        elif kind == 2 and dims:
            del dims[draw.randrange(len(dims))]
        elif kind == 3:
            port.type.tensor_type.elem_type = draw.randrange(30)
        else:
            port.name = _name(model, draw)


def _version(model, draw):
    if model.opset_import:
        model.opset_import[0].version = draw.choice([*HUGE, 7, 11, 12, 13, 17, 22])


def _growth(model, draw):
    """An array that doubles, or is repeated, again and again, in front of the graph."""
    source = draw.choice([port.name for port in model.graph.input] or ["none"])
    op = draw.choice(["Concat", "Mul", "Tile", "Expand", "Shape"])
    nodes, name = [], source
    if op == "Shape":
        nodes.append(helper.make_node("Shape", [source], ["grown"]))
        op, name = "Concat", "grown"
    for k in range(draw.randrange(1, 70)):
        attributes = {"axis": -1} if op == "Concat" else {}
        nodes.append(helper.make_node(op, [name, name], [f"grown{k}"], **attributes))
        name = f"grown{k}"
    for node in model.graph.node:
        for place, given in enumerate(node.input):
            if given == source and draw.randrange(2):
                node.input[place] = name
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _name(model, draw):
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    return draw.choice([*names, "", "nowhere"])


_CHANGES = [
    _tensor,
    _external,
    _node,
    _node,
    _attribute,
    _attribute,
    _order,
    _port,
    _version,
    _growth,
]
