"""The compiled part: Cython modules, and the vector kernels once for each instruction set.

Environment variables: ``GATEWISE_OPENMP=0`` builds without threads; ``GATEWISE_DEBUG=1`` turns
Cython's bounds checks on; ``GATEWISE_SANITIZE=address,undefined`` builds with those sanitizers.
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("src/gatewise/kernels")
MODULES = [
    "_table",
    "_lateness",
    "_memory",
    "_blas",
    "_plan",
    "_products",
    "_cell",
    "_packing",
    "_workspace",
    "_attending",
    "_walk",
    "_passes",
    "recurrent",
    "scan",
    "dense",
    "narrow",
    "attention",
    "batched",
    "_planes",
    "convolution",
    "conv_lstm",
    "pooling",
    "arrays",
    "losses",
    "ctc",
    "optimizers",
    "rows",
    "_preparing",
    "program",
    "_guard",
    "_packed_weights",
    "_null_context",
    "_system_threads",
]
DEBUG = os.environ.get("GATEWISE_DEBUG") == "1"
SANITIZE = os.environ.get("GATEWISE_SANITIZE")

# Contraction is off so that every tile height rounds alike; simd.h asks for fma by name.
FLAGS = [
    "-std=c++17",
    "-O3",
    "-g0",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-Wno-psabi",
    "-Wno-maybe-uninitialized",
]
AVX2 = ["-mavx2", "-mfma"]
ISA_FLAGS = {
    "isa_baseline.cpp": [],
    "isa_avx2.cpp": AVX2,
    "isa_avx512.cpp": [
        *AVX2,
        "-mavx512f",
        "-mavx512dq",
        "-mavx512bw",
        "-mavx512vl",
        "-mprefer-vector-width=512",
    ],
}


def on_x86_64():
    return platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32


def isa_sources():
    """One source an instruction set; processors other than x86-64 have the portable one."""
    names = list(ISA_FLAGS) if on_x86_64() else ["isa_baseline.cpp"]
    return [str(KERNELS / name) for name in names]


class BuildExt(build_ext):
    """build_ext with flags for each instruction set's source, and OpenMP if it works."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            raise SystemExit(
                "gatewise needs GCC or Clang (vector types): on Windows, build with clang or"
                " MinGW-w64"
            )
        compile_flags, link_flags = self.openmp_flags()
        for extension in self.extensions:
            extension.extra_compile_args = FLAGS + compile_flags
            extension.extra_link_args = list(link_flags)
            if SANITIZE:
                extension.extra_compile_args += [
                    f"-fsanitize={SANITIZE}",
                    "-g",
                    "-fno-omit-frame-pointer",
                ]
                extension.extra_link_args += [f"-fsanitize={SANITIZE}"]
        compile_one = self.compiler._compile

        def compile_with_isa(obj, src, ext, cc_args, extra_postargs, pp_opts):
            compile_one(
                obj, src, ext, cc_args, extra_postargs + ISA_FLAGS.get(Path(src).name, []), pp_opts
            )

        self.compiler._compile = compile_with_isa
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    def openmp_flags(self):
        """Compile and link flags for OpenMP; both empty, with a message, if there is none."""
        if os.environ.get("GATEWISE_OPENMP") == "0":
            return [], []
        if sys.platform == "darwin":
            candidates = (["-Xpreprocessor", "-fopenmp"], ["-lomp"])
        else:
            candidates = (["-fopenmp"], ["-fopenmp"])
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.cpp"
            source.write_text(
                "#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n"
            )
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=candidates[0]
                )
                self.compiler.link_executable(
                    objects,
                    str(Path(folder) / "probe"),
                    extra_postargs=candidates[1],
                    target_lang="c++",
                )
                subprocess.run([str(Path(folder) / "probe")], check=True, timeout=60)
            except Exception as error:  # whatever a compiler without OpenMP does, the build goes on
                print(f"gatewise: no OpenMP ({error}); building for one thread", file=sys.stderr)
                return [], []
        return candidates


def extension(name):
    return Extension(
        f"gatewise.kernels.{name}",
        sources=[str(KERNELS / f"{name}.pyx"), *(isa_sources() if name == "_table" else [])],
        include_dirs=[str(KERNELS), numpy.get_include()],
        depends=[str(path) for path in KERNELS.glob("*.h")],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_22_API_VERSION")],
        language="c++",
    )


setup(
    ext_modules=cythonize(
        [extension(name) for name in MODULES],
        build_dir="build/cython",
        include_path=["src"],
        annotate=os.environ.get("GATEWISE_ANNOTATE") == "1",
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": DEBUG,
            "embedsignature": True,
            "freethreading_compatible": True,
        },
    ),
    cmdclass={"build_ext": BuildExt},
)
