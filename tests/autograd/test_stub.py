"""tensor.pyi says what Tensor really has."""

import ast
import subprocess
import sys

from tinynn.autograd import Tensor
from tinynn.ops import stub


def test_the_checked_in_stub_is_up_to_date(tmp_path):
    written = tmp_path / "tensor.pyi"
    written.write_text(stub.stub())
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--isolated", "--line-length=100"]
    subprocess.run([*command, written], check=True)
    assert stub.PATH.read_text() == written.read_text(), "run python -m tinynn.ops.stub"


def test_every_public_attribute_is_typed():
    (tensor_class,) = (
        node
        for node in ast.parse(stub.PATH.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Tensor"
    )
    typed = {
        node.name if isinstance(node, ast.FunctionDef) else node.target.id
        for node in tensor_class.body
        if isinstance(node, ast.FunctionDef | ast.AnnAssign)
    }
    public = {name for name in vars(Tensor) if not name.startswith("_")}
    assert public <= typed
