"""What is compiled, once for each device, and what is told where a source is refused."""

import numpy as np
import pytest

from tests.cuda_on_cpu import installed
from tinynn.backend.kernel_table import KernelTable
from tinynn.kernels.cuda import compiler


class Recorder:
    """In the place of cupy.RawModule: what it was asked for."""

    def __init__(self, refusal=None):
        self.asked, self.refusal = [], refusal

    def __call__(self, code, options, name_expressions):
        self.asked.append((code, options, name_expressions))
        return self

    def get_function(self, name):
        if self.refusal:
            raise self.refusal
        self.max_dynamic_shared_size_bytes = 48 * 1024
        return self


@pytest.fixture
def recorder(monkeypatch):
    found = Recorder()
    monkeypatch.setattr(compiler, "raw_module", found)
    monkeypatch.setattr(compiler, "_kernels", {})
    monkeypatch.setattr(compiler, "current_device", lambda: (0, 1))
    return found


def test_a_kernel_is_compiled_once_for_each_device(recorder, monkeypatch):
    for _ in range(2):
        compiler.load("dropout.cu", "dropout<float, true>")
    assert [asked[2] for asked in recorder.asked] == [("dropout<float, true>",)]
    monkeypatch.setattr(compiler, "current_device", lambda: (1, 1))
    compiler.load("dropout.cu", "dropout<float, true>")
    assert len(recorder.asked) == 2


def test_headers_are_part_of_the_source_once_each(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)
    (tmp_path / "low.cuh").write_text("#pragma once\nint low;\n")
    (tmp_path / "high.cuh").write_text('#include "low.cuh"\nint high;\n')
    (tmp_path / "a.cu").write_text(
        '#include "high.cuh"\n#include "low.cuh"\n#include <x.h>\nint a;'
    )
    lines = compiler.source_of("a.cu").splitlines()
    assert [line for line in lines if line.startswith(("int", "#include"))] == [
        "int low;",
        "int high;",
        "#include <x.h>",
        "int a;",
    ]
    assert lines[lines.index("int low;") - 2] == '#line 1 "low.cuh"'
    assert lines[lines.index("int high;") - 1] == '#line 2 "high.cuh"'
    assert lines[lines.index("#include <x.h>") - 1] == '#line 3 "a.cu"'


def test_a_changed_header_changes_the_source(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)
    (tmp_path / "a.cu").write_text('#include "h.cuh"\n')
    (tmp_path / "h.cuh").write_text("int h;\n")
    before = compiler.source_of("a.cu")
    (tmp_path / "h.cuh").write_text("long h;\n")
    assert compiler.source_of("a.cu") != before


def test_much_shared_memory_is_asked_for(recorder):
    kernel = compiler.load("dropout.cu", "dropout<float, true>", shared_memory=100)
    assert kernel.max_dynamic_shared_size_bytes == 48 * 1024
    for size in (100_000, 60_000):
        compiler.load("dropout.cu", "dropout<float, true>", shared_memory=size)
        assert kernel.max_dynamic_shared_size_bytes == 100_000


LOG = "numbers.cuh(3): error: expected a ;\n\n1 error detected in the compilation"


def test_a_refusal_shows_the_log_and_the_line(recorder):
    recorder.refusal = RuntimeError(LOG)
    with pytest.raises(compiler.CompilationError) as caught:
        compiler.load("dropout.cu", "dropout<float, true>")
    third = (compiler.FOLDER / "numbers.cuh").read_text().splitlines()[2]
    assert str(caught.value).splitlines() == [
        "dropout<float, true> of dropout.cu: numbers.cuh(3): error: expected a ;",
        f"numbers.cuh, line 3: {third}".strip(),
        *LOG.splitlines(),
    ]


def test_g_plus_plus_tells_the_line_too(cuda_on_cpu):
    def break_it(file, text):
        return text.replace("const Words words =", "const Word words =")

    with (
        installed(break_it),
        pytest.raises(compiler.CompilationError, match=r"dropout\.cu, line \d+: const Words words"),
    ):
        compiler.load("dropout.cu", "dropout<float, true>")


def test_the_table_of_cupy_has_cuda_kernels_and_falls_back(recorder, monkeypatch):
    from tinynn.kernels.cuda import dropout

    table = KernelTable("cuda")
    assert table._kernel("dropout") is dropout.dropout
    assert table._kernel("affine_resample") is None  # no such family: the reference
    recorder.refusal = RuntimeError(LOG)
    counters = {"p": 0.5, "key": 1, "stream": 2, "step": 3}
    with pytest.warns(RuntimeWarning, match=r"kernel dropout cannot be compiled \(dropout<float"):
        out = table.dropout(np.ones((2, 8), np.float32), **counters)
    np.testing.assert_array_equal(
        out, KernelTable(None).dropout(np.ones((2, 8), np.float32), **counters)
    )


def test_numba_is_not_needed_for_cuda_kernels(monkeypatch):
    monkeypatch.setattr("tinynn.backend.kernel_table._load_compiler", lambda: None)
    assert KernelTable("cuda")._kernel("dropout") is not None
    assert KernelTable("cpu")._kernel("dropout") is None
