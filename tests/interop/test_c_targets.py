"""C programs by other compilers, for other processors, and under sanitizers."""

import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest

from gatewise import layers

from .c_programs import COMPILER, STRICT, assert_close, needs_compiler, sequential, signal

ZIG = [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else None

# Reads nothing, and writes nothing but numbers, so that it runs on a bare processor, too.
MAIN = """
#include "net.h"
#include <string.h>

void put_text(const char *text);

static const float x[{steps}][{features}] = {{
{rows}
}};

static void put_number(float y)
{{
    char text[10] = "00000000 ";
    uint32_t word;
    int k;
    memcpy(&word, &y, 4);
    for (k = 7; k >= 0; k--, word >>= 4) text[k] = "0123456789abcdef"[word & 15u];
    put_text(text);
}}

int main(void)
{{
    static net_state s;
    static unsigned char saved[NET_SAVED_BYTES];
    float y[NET_OUTPUTS];
    int t, k;
    net_init(&s);
    for (t = 0; t < {times} * {steps}; t++) {{
        if (t == {times} * {steps} / 2) {{
            if (net_save(&s, saved, sizeof saved) != 0) return 1;
            memset(&s, 255, sizeof s);
            net_init(&s);
            if (net_load(&s, saved, sizeof saved) != 0) return 2;
        }}
        if (net_step(&s, x[t % {steps}], y) == 1 && t >= {times} * {steps} - 100) {{
            for (k = 0; k < NET_OUTPUTS; k++) put_number(y[k]);
            put_text("\\n");
        }}
    }}
    return 0;
}}
"""
HOST = """
#include <stdio.h>

void put_text(const char *text);
void put_text(const char *text) { fputs(text, stdout); }
"""

# What a Cortex-M4 needs: the vector table, the floating-point unit switched on, memory set up, and
# semihosting to write and to end.
BARE = """
#include <stdint.h>

extern uint32_t stack_top, data_from, data_begin, data_end, bss_begin, bss_end;
int main(void);
void reset(void);
void put_text(const char *text);

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)reset,
};

static void ask_host(int what, const void *with)
{
    register int r0 __asm("r0") = what;
    register const void *r1 __asm("r1") = with;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void put_text(const char *text) { ask_host(4, text); }

void reset(void)
{
    const uint32_t *from = &data_from;
    uint32_t *to;
    uint32_t ended[2] = {0x20026, 0};
    *(volatile uint32_t *)0xE000ED88 |= 15u << 20;
    __asm volatile("dsb\\nisb");
    for (to = &data_begin; to < &data_end;) *to++ = *from++;
    for (to = &bss_begin; to < &bss_end;) *to++ = 0;
    ended[1] = (uint32_t)main();
    ask_host(0x20, ended);
    for (;;) {}
}
"""
MEMORY = """
MEMORY { code : ORIGIN = 0, LENGTH = 4M
         data : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > code
    .ARM.exidx : { *(.ARM.exidx*) } > code
    data_from = LOADADDR(.data);
    .data : { data_begin = .; *(.data*) . = ALIGN(4); data_end = .; } > data AT > code
    .bss : { bss_begin = .; *(.bss*) *(COMMON) . = ALIGN(4); bss_end = .; } > data
    stack_top = ORIGIN(data) + LENGTH(data);
}
"""


def model_of_all():
    return sequential(
        layers.Conv1D(6, 3, strides=2, activation="relu"),
        layers.LSTM(9, return_sequences=True, peepholes=True, projection=5),
        layers.LSTM(6, return_sequences=True, layer_normalization=True),
        layers.GRU(8, return_sequences=True),
        layers.MinLSTM(5, return_sequences=True, activation="exponential"),
        layers.LayerNormalization(),
        layers.Dense(3, "softmax"),
    )


def written(model, folder, weights="float32", steps=40, times=1):
    """Write the program and a main function that runs it over the same steps `times` times.

    It prints the outputs of the last 100 steps. Returns what predict gives for the first time.
    """
    model.export_c(folder, weights)
    x = signal(steps)
    rows = ",\n".join("{" + ", ".join(f"{value:#.9g}f" for value in row) + "}" for row in x)
    (folder / "main.c").write_text(MAIN.format(steps=steps, times=times, features=3, rows=rows))
    (folder / "host.c").write_text(HOST)
    return model.predict(x[None])[0]


def output_of(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr + done.stdout[-500:]
    return done.stdout or done.stderr  # where QEMU writes what a bare processor says


def numbers(printed):
    """The outputs that a program has printed."""
    words = [[int(word, 16) for word in line.split()] for line in printed.splitlines()]
    return np.array(words, np.uint32).view(np.float32)


def check(printed, expected, weights, folder):
    """Compare with predict; and to the bit with what this machine gives without optimization."""
    assert_close(numbers(printed), expected, 1e-5 if weights == "float32" else 0.05)
    if COMPILER is not None:
        compiled([COMPILER], folder, "-O0", name="plain")
        assert printed == output_of(["./plain"], folder)


def compiled(command, folder, *flags, name="main"):
    """Compile with strict warnings, and without fused multiply-adds."""
    files = ["net.c", "main.c", "host.c", "-o", name, "-lm"]
    output_of([*command, *STRICT, "-ffp-contract=off", *flags, *files], folder)


@pytest.mark.long
@needs_compiler
@pytest.mark.parametrize("weights", ["float32", "int8"])
@pytest.mark.parametrize(
    "flags",
    [("-O2",), pytest.param(("-O3", "-march=native"), marks=pytest.mark.long)],
    ids=" ".join,
)
def test_here(weights, flags, tmp_path):
    expected = written(model_of_all(), tmp_path, weights)
    compiled([COMPILER], tmp_path, *flags)
    check(output_of(["./main"], tmp_path), expected, weights, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_clang(weights, tmp_path):
    if shutil.which("clang") is None:
        pytest.skip("there is no clang")
    expected = written(model_of_all(), tmp_path, weights)
    compiled(["clang"], tmp_path, "-O2", "-Wconversion", "-Wshadow", "-Wstrict-prototypes")
    check(output_of(["./main"], tmp_path), expected, weights, tmp_path)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_sanitizers(weights, tmp_path):
    expected = written(model_of_all(), tmp_path, weights)
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    probe = tmp_path / "probe.c"
    probe.write_text("int main(void) { return 0; }")
    found = subprocess.run(
        [COMPILER, *flags, str(probe), "-o", str(tmp_path / "probe")], check=False
    )
    if found.returncode:
        pytest.skip("the compiler has no sanitizers")
    compiled([COMPILER], tmp_path, *flags)
    check(output_of(["./main"], tmp_path), expected, weights, tmp_path)


@needs_compiler
@pytest.mark.long
def test_a_million_steps_under_sanitizers(tmp_path):
    """Numbers stay finite, no memory outside is touched, and no whole number overflows."""
    model = sequential(
        layers.Conv1D(4, 3, strides=2, padding="causal"),
        layers.GRU(4, return_sequences=True),
        layers.MaxPooling1D(3),
        layers.LSTM(3, return_sequences=True),
        layers.GlobalAveragePooling1D(),
    )
    written(model, tmp_path, times=25_000)
    flags = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [COMPILER, *STRICT, *flags, "net.c", "main.c", "host.c", "-o", "main", "-lm"]
    if subprocess.run(command, cwd=tmp_path, check=False).returncode:
        pytest.skip("the compiler has no sanitizers")
    found = numbers(output_of(["./main"], tmp_path))
    assert len(found) >= 16 and np.isfinite(found).all()


def run_on_aarch64(command, folder, weights):
    """Compile for AArch64 and run by QEMU."""
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if qemu is None:
        pytest.skip("there is no qemu-aarch64 (Debian's qemu-user)")
    expected = written(model_of_all(), folder, weights)
    compiled(command, folder, "-O2", "-static")
    check(output_of([qemu, "./main"], folder), expected, weights, folder)


@pytest.mark.long
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_aarch64(weights, tmp_path):
    gcc = shutil.which("aarch64-linux-gnu-gcc")
    if gcc is None:
        pytest.skip("there is no aarch64-linux-gnu-gcc (Debian's gcc-aarch64-linux-gnu)")
    run_on_aarch64([gcc], tmp_path, weights)


@pytest.mark.slow  # the first time it compiles a whole C library
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_aarch64_by_zig(weights, tmp_path):
    if ZIG is None:
        pytest.skip("there is no ziglang (of PyPI)")
    run_on_aarch64([*ZIG, "-target", "aarch64-linux-musl"], tmp_path, weights)


@pytest.mark.long
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_cortex_m4(weights, tmp_path):
    """A bare processor with single precision: Debian's GCC and newlib, QEMU's mps2-an386."""
    gcc, qemu = shutil.which("arm-none-eabi-gcc"), shutil.which("qemu-system-arm")
    if gcc is None:
        pytest.skip("there is no arm-none-eabi-gcc (Debian's gcc-arm-none-eabi)")
    expected = written(model_of_all(), tmp_path, weights)
    (tmp_path / "bare.c").write_text(BARE)
    (tmp_path / "memory.ld").write_text(MEMORY)
    processor = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
    # No double anywhere: this processor would compute it in software.
    plain = ["-Os", "-Wdouble-promotion", "-ffp-contract=off"]
    command = [gcc, *processor, *STRICT, *plain, "-c", "net.c"]
    output_of(command, tmp_path)
    if qemu is None:
        pytest.skip("it compiles; there is no qemu-system-arm to run it")
    files = ["net.o", "main.c", "bare.c", "-T", "memory.ld", "-o", "main.elf", "-lm"]
    output_of([gcc, *processor, "-Os", "-nostartfiles", "--specs=nosys.specs", *files], tmp_path)
    machine = ["-M", "mps2-an386", "-nographic", "-semihosting", "-kernel", "main.elf"]
    check(output_of([qemu, *machine], tmp_path), expected, weights, tmp_path)
