"""Compiled kernels between processes: kept, renewed with their sources, never in the way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ERF = """
import numba
import numpy as np
from tinynn.backend.kernel_table import table_for
of_the_user = numba.config.CACHE_DIR, numba.config.THREADING_LAYER
result = table_for("numpy").erf(np.array([0.5], np.float32))
assert (numba.config.CACHE_DIR, numba.config.THREADING_LAYER) == of_the_user
from tinynn.kernels.cpu import special
print(float(result[0]), sum(special._erf.serial.stats.cache_hits.values()))
"""


FULL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def erf(cache, root=ROOT, before=""):
    """What a process prints that computes erf(0.5): (the number, loaded kernels, its warnings)."""
    result = subprocess.run(
        [sys.executable, "-c", before + ERF],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
        env={**os.environ, "TINYNN_CACHE": str(cache), "PYTHONPATH": str(root)},
    )
    assert result.returncode == 0, result.stderr
    number, hits = result.stdout.split()
    return float(number), int(hits), result.stderr


def test_kernels_are_compiled_once_and_again_when_damaged(tmp_path):
    half = pytest.approx(0.5204999)
    assert erf(tmp_path) == (half, 0, "")
    assert erf(tmp_path) == (half, 1, "")
    kept = [*tmp_path.glob("numba/*/serial/*.nbc"), *tmp_path.glob("numba/*/serial/*.nbi")]
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(path.read_bytes()[:50])
    assert erf(tmp_path) == (half, 0, "")
    assert erf(tmp_path) == (half, 1, "")


def test_a_changed_callee_is_noticed(tmp_path):
    """erf's loop is in one file, its polynomial in another; Numba looks at the first alone."""
    house = tmp_path / "house"
    shutil.copytree(ROOT / "tinynn", house / "tinynn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        ROOT / "kernels", house / "tinynn/kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    cache = tmp_path / "cache"
    assert erf(cache, house)[:2] == (pytest.approx(0.5204999), 0)
    callee = house / "tinynn/kernels/cpu/elementary.py"
    source = callee.read_text()
    assert "near if size < bound else far" in source
    callee.write_text(
        source.replace("near if size < bound else far", "-near if size < bound else far")
    )
    changed, hits, _ = erf(cache, house)
    assert hits == 0
    assert changed != pytest.approx(0.5204999, abs=1e-6)


def test_where_nothing_can_be_written_it_says_so_once(tmp_path):
    (tmp_path / "file").write_text("")
    number, hits, warnings = erf(tmp_path / "file" / "cache")
    assert (number, hits) == (pytest.approx(0.5204999), 0)
    assert warnings.count("TINYNN_CACHE") == 1
    assert "cannot be kept" in warnings


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_costs_a_compilation_alone(tmp_path):
    number, hits, warnings = erf(tmp_path, before=FULL_DISK)
    assert (number, hits) == (pytest.approx(0.5204999), 0)
    assert warnings.count("could not be kept") == 1
    assert erf(tmp_path) == (number, 0, "")
