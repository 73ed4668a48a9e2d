"""The text of the two files."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import gatewise

from . import helpers
from .sheet import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewise._typing import Array

    from .program import Parameter, Program
    from .sheet import Constant, Member, Sheet

MARK = "/* Written by gatewise"  # how both files begin
_WIDTH = 100


def header(program: Program) -> str:
    """The header file."""
    p, upper = program.prefix, program.prefix.upper()
    lines = [
        f"{MARK} {gatewise.__version__}: the model {_in_comment(program.plan.model)!r}, one step at"
        " a time.",
        "",
        *(f"       {line}" for line in _table(program)),
        "",
        f"   Weights: {program.weights}, {program.constant_bytes:,} bytes of constants. State:"
        f" {program.state_bytes:,} bytes.",
        "",
        *(f"   {line}".rstrip() for line in _usage(program)),
        "*/",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        *_sizes(program),
        f"#define {upper}_SAVED_BYTES {program.saved_bytes}",
        "",
        "/* Everything that a step changes. One for each stream; a copy continues by itself. */",
        *_struct(program),
        "",
        "/* Before the first step. */",
        f"void {p}_init({p}_state *s);",
        "",
        *_step_comment(program),
        f"{_signature(program)};",
        "",
        "/* The next step is the first one of a sequence. */",
        f"void {p}_reset({p}_state *s);",
        "",
        *_comment(
            [
                f"Write the state into {upper}_SAVED_BYTES bytes, the same on every machine.",
                "Returns 0, or -1 if size is less.",
            ]
        ),
        f"int {p}_save(const {p}_state *s, unsigned char *to, size_t size);",
        "",
        *_comment(
            [
                f"Read what {p}_save has written. Returns 0, or -1 if it is something else, or of",
                "another architecture; the state is then as it was.",
            ]
        ),
        f"int {p}_load({p}_state *s, const unsigned char *from, size_t size);",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def source(program: Program) -> Iterator[str]:
    """The source file, in parts."""
    p = program.prefix
    constants = [constant for sheet in program.sheets for constant in sheet.constants]
    yield (
        f"{MARK} {gatewise.__version__}. The functions come first, the weights are at the end.\n\n"
        "   x: input of an operation. y: its output. s: the state. z, sums: sums of a cell's gates."
        "\n*/\n"
        f'#include "{p}.h"\n\n#include <float.h>\n#include <math.h>\n#include <string.h>\n\n'
    )
    for constant in constants:
        comment = f" /* {constant.comment} */" if constant.comment else ""
        yield f"static const {_declared(constant)};{comment}\n"
    parts = [*helpers.texts(program.helpers)]
    parts += [_function(program, sheet) for sheet in program.sheets]
    parts += [_step(program), _resets(program), _saves(program), _loads(program)]
    yield "\n" + "\n\n".join(parts) + "\n"
    if constants:
        yield "\n/* ---- weights */\n"
    for constant in constants:
        yield f"\nstatic const {_declared(constant)} = {{\n"
        yield from _numbers(constant.values)
        yield "};\n"


# ---- the header


def _in_comment(text: str) -> str:
    """Text that cannot end a comment."""
    return text.replace("*/", "* /").replace("/*", "/ *").encode("ascii", "replace").decode()


def _table(program: Program) -> list[str]:
    """The operations, a line each."""
    names = [sheet.name for sheet in program.sheets]
    wide = max(map(len, names), default=0)
    return [f"{sheet.name:{wide}}  {sheet.title}" for sheet in program.sheets]


def _usage(program: Program) -> list[str]:
    p = program.prefix
    ports = [f"&s, {', '.join(each.name for each in (*program.inputs, *program.outputs))}"]
    return [
        "A program needs no other file. Compile with -lm.",
        "",
        f"    static {p}_state s;",
        f"    {p}_init(&s);",
        f"    for (;;) {p}_step({', '.join(ports)});",
    ]


def _sizes(program: Program) -> list[str]:
    upper, lines = program.prefix.upper(), []
    for kind, ports in (("INPUTS", program.inputs), ("OUTPUTS", program.outputs)):
        for port in ports:
            end = "" if len(ports) == 1 else f"_{port.name[2:].upper()}"
            if port.size is None:
                lines.append(f"#define {upper}_{kind}{end} {port.width}")
            else:
                lines.append(f"#define {upper}_NUMBERS{end} {port.size}")
    return lines


def _struct(program: Program) -> list[str]:
    lines = [f"typedef struct {program.prefix}_state {{"]
    for member in program.members:
        lines.append(f"    {_member(member)} /* {member.comment} */")
    if program.vectors or program.work:
        lines.append("    /* of one step */")
    for member in program.vectors:
        lines.append(f"    {_member(member)} /* {member.comment} */")
    if program.work:
        lines.append(f"    float work[{program.work}];")
    if len(lines) == 1:
        lines.append("    float nothing; /* the model keeps no state */")
    return [*lines, f"}} {program.prefix}_state;"]


def _member(member: Member) -> str:
    extent = f"[{member.count}]" if member.count else ""
    return f"{member.kind} {member.name}{extent};"


def _step_comment(program: Program) -> list[str]:
    reads = [_port_text(port) for port in program.inputs]
    writes = [f"{port.name} ({port.width} numbers)" for port in program.outputs]
    lines = [f"One step: reads {', '.join(reads)}, writes {', '.join(writes)}."]
    lines.append("Arrays must not overlap.")
    several = len(program.outputs) > 1
    waits = any(sheet.due for sheet in program.sheets)
    masks = any(port.mask is not None for port in program.inputs)
    if several and waits:
        lines.append(
            "Returns a sum of 1 if the first output was written, 2 if the second was, and so on."
        )
    elif waits:
        lines.append("Returns 1 if the output was written, and 0 if none is due at this step.")
    elif several:
        lines.append(f"Returns {2 ** len(program.outputs) - 1}: all outputs were written.")
    else:
        lines.append("Returns 1: the output was written.")
    if masks:
        lines.append("Returns 0, and nothing changes, at a step that is masked.")
    if any(port.size is not None for port in program.inputs):
        lines.append("Returns -1, and nothing changes, if a number is out of its range.")
    return _comment(lines)


def _port_text(port: Parameter) -> str:
    return (
        f"{port.name} ({port.width} numbers)"
        if port.size is None
        else f"{port.name} (0 to {port.size - 1})"
    )


def _comment(sentences: Sequence[str]) -> list[str]:
    """A comment of lines that are not too long."""
    words = " ".join(sentences).split()
    lines, line = [], "/*"
    for word in words:
        if len(line) + len(word) + 4 > _WIDTH:
            lines.append(line)
            line = "  "
        line += f" {word}"
    return [*lines, f"{line} */"]


def _signature(program: Program) -> str:
    inputs = [
        f"const float *{port.name}" if port.size is None else f"int32_t {port.name}"
        for port in program.inputs
    ]
    outputs = [f"float *{port.name}" for port in program.outputs]
    arguments = [f"{program.prefix}_state *s", *inputs, *outputs]
    return f"int {program.prefix}_step({', '.join(arguments)})"


# ---- the source


def _declared(constant: Constant) -> str:
    kind = {"f": "float", "i": f"int{8 * constant.values.itemsize}_t"}[constant.values.dtype.kind]
    return f"{kind} {constant.name}[{constant.values.size}]"


def _numbers(values: Array) -> Iterator[str]:
    """The numbers of an array, a few a line. Nine digits are exactly the float32."""
    flat = values.reshape(-1)
    form, a_line = ("%#.9gf", 5) if flat.dtype.kind == "f" else ("%d", 20)
    line = "    " + ", ".join([form] * a_line) + ",\n"
    whole = flat.size - flat.size % a_line
    for first in range(0, whole, a_line):
        yield line % tuple(flat[first : first + a_line].tolist())
    if whole < flat.size:
        rest = flat[whole:].tolist()
        yield "    " + ", ".join([form] * len(rest)) % tuple(rest) + ",\n"


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _function(program: Program, sheet: Sheet) -> str:
    """The function of one operation."""
    arguments = [f"{program.prefix}_state *s"] if sheet.members or sheet.work else []
    op = next(each.op for each, other in zip(program.plan.ops, program.sheets) if other is sheet)
    widths = getattr(op, "widths", None)
    if widths is not None:
        arguments += [f"const float *x{k}" for k in range(len(widths))]
    else:
        arguments.append("int32_t x" if sheet.reads_number else "const float *x")
    if not sheet.output:
        arguments.append("float *y")
    counter = ["int j;"] if any("(j = 0;" in line for line in sheet.lines) else []
    return "\n".join(
        [
            f"/* {sheet.title} */",
            f"static {'int' if sheet.due else 'void'} run_{sheet.name}({', '.join(arguments)})",
            "{",
            *_indented([*counter, *sheet.lines]),
            "}",
        ]
    )


def _step(program: Program) -> str:
    checks = []
    for port in program.inputs:
        if port.size is not None:
            checks.append(f"if ({port.name} < 0 || {port.name} >= {port.size}) return -1;")
    # As in a stream: if several inputs are masked, it is at the same steps.
    masked = [(port, port.mask) for port in program.inputs if port.mask is not None]
    for port, mask in masked[:1]:
        if port.size is not None:
            checks.append(f"if ({port.name} == {int(mask)}) return 0;")
        else:
            checks += [
                "{",
                "    int k = 0;",
                f"    while (k < {port.width} && {port.name}[k] == {number(mask)}) k++;",
                f"    if (k == {port.width}) return 0;",
                "}",
            ]
    calls = program.calls()
    unused = [] if any("(s" in c or "s->" in c for c in calls) else ["(void)s;"]
    return "\n".join([_signature(program), "{", *_indented([*unused, *checks, *calls]), "}"])


def _resets(program: Program) -> str:
    p = program.prefix
    lines = ["memset(s, 0, sizeof *s);"]
    for member in program.members:
        if member.start and member.count:
            lines.append(f"memcpy(s->{member.name}, {member.start}, sizeof s->{member.name});")
        elif member.start not in ("", "0"):
            lines.append(f"s->{member.name} = {member.start};")
    return "\n".join(
        [
            f"void {p}_reset({p}_state *s)",
            "{",
            *_indented(lines),
            "}",
            "",
            f"void {p}_init({p}_state *s) {{ {p}_reset(s); }}",
        ]
    )


def _stamp(program: Program) -> list[str]:
    """The first bytes of a saved state."""
    stamp = program.stamp.to_bytes(8, "big")
    values = ", ".join(str(byte) for byte in stamp)
    return [
        "/* Of the architecture; a state of another one is not read. */",
        f"static const unsigned char stamp[8] = {{{values}}};",
    ]


def _saves(program: Program) -> str:
    p, upper = program.prefix, program.prefix.upper()
    lines = [
        f"if (size < {upper}_SAVED_BYTES) return -1;",
        "memcpy(to, stamp, sizeof stamp);",
    ]
    if program.members:
        lines.append("to += sizeof stamp;")
    else:
        lines.insert(0, "(void)s;")
    puts = [f"put_words({_address(member)}, {member.words}, to);" for member in program.members]
    lines += [f"to = {put}" for put in puts[:-1]] + puts[-1:]
    return "\n".join(
        [
            *_stamp(program),
            "",
            f"int {p}_save(const {p}_state *s, unsigned char *to, size_t size)",
            "{",
            *_indented([*lines, "return 0;"]),
            "}",
        ]
    )


def _address(member: Member) -> str:
    return f"s->{member.name}" if member.count else f"&s->{member.name}"


def _loads(program: Program) -> str:
    p, upper = program.prefix, program.prefix.upper()
    numbers = [member for member in program.members if member.kind != "float"]
    before = itertools.accumulate((member.words for member in program.members), initial=0)
    places = dict(zip((member.name for member in program.members), before))
    lines = [f"int32_t {member.name};" for member in numbers]
    lines += [
        f"if (size != {upper}_SAVED_BYTES || memcmp(from, stamp, sizeof stamp) != 0) return -1;",
    ]
    lines += ["from += sizeof stamp;"] if program.members else ["(void)s;"]
    for member in numbers:
        at = 4 * places[member.name]
        lines.append(f"get_words(from + {at}, 1, &{member.name});")
    for member in numbers:
        name = member.name
        lines.append(f"if ({name} < {member.low} || {name} > {member.high}) return -1;")
    gets = [f"get_words(from, {member.words}, {_address(member)});" for member in program.members]
    lines += [f"from = {get}" for get in gets[:-1]] + gets[-1:]
    return "\n".join(
        [
            f"int {p}_load({p}_state *s, const unsigned char *from, size_t size)",
            "{",
            *_indented([*lines, "return 0;"]),
            "}",
        ]
    )
