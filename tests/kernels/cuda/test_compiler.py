"""What is compiled, once for each device, and what is told where a source is refused."""

import numpy as np
import pytest

from tests.cuda_on_cpu import installed
from tinynn.backend.kernel_table import KernelTable, observe_kernels
from tinynn.kernels.cuda import compiler


class Recorder:
    """In the place of cupy.RawModule: what it was asked for."""

    def __init__(self, refusal=None):
        self.asked, self.refusal, self.launches = [], refusal, []

    def __call__(self, code, options, name_expressions):
        self.asked.append((code, options, name_expressions))
        return self

    def get_function(self, name):
        if self.refusal:
            raise self.refusal
        function = Function()
        self.launches = function.launches
        return function


class Function:
    """In the place of what cupy.RawModule.get_function gives."""

    max_dynamic_shared_size_bytes = 48 * 1024

    def __init__(self):
        self.launches = []

    def __call__(self, grid, block, arguments, shared_mem=0):
        self.launches.append((grid, block, arguments, shared_mem))


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
    assert kernel.function.max_dynamic_shared_size_bytes == 48 * 1024
    for size in (100_000, 60_000):
        compiler.load("dropout.cu", "dropout<float, true>", shared_memory=size)
        assert kernel.function.max_dynamic_shared_size_bytes == 100_000


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


def test_a_recorder_is_handed_the_launches_with_what_they_write(recorder, monkeypatch):
    seen = []
    monkeypatch.setattr(compiler, "observer", lambda *call: seen.append(call))
    kernel = compiler.load("dropout.cu", "dropout<float, true>")
    kernel((1,), (32,), ("x", "out"), shared_mem=8)
    assert recorder.launches == []
    ((launch, _, arguments),) = seen
    assert (launch.function.__name__, launch.writes, arguments) == ("dropout", (1,), ("x", "out"))
    launch.bind(0, *arguments)()
    assert recorder.launches == [((1,), (32,), ("x", "out"), 8)]


def test_a_recorder_is_handed_them_by_the_kernel_table(recorder):
    seen = []
    counters = {"p": 0.5, "key": 1, "stream": 2, "step": 3}
    table = KernelTable("cuda")
    for begins_first in (True, False):
        if begins_first:
            observe_kernels(lambda *call: seen.append(call))
        table.dropout(np.ones((2, 8), np.float32), **counters)
        observe_kernels(None)
        observe_kernels(lambda *call: seen.append(call))
    observe_kernels(None)
    assert len(seen) == 2
    assert compiler.observer is None


def test_bad_values_are_refused(recorder):
    kernel = compiler.load("dropout.cu", "dropout<float, true>")

    def refuse(place, *arguments):
        raise IndexError(f"at {place} of {arguments[0]}")

    kernel((1,), (32,), ("x", np.array([-1])), refuse=refuse)
    with pytest.raises(IndexError, match="at 5 of x"):
        kernel((1,), (32,), ("x", np.array([5])), refuse=refuse)
