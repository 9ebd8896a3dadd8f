"""Every operation refuses what it cannot do, in one line that names it."""

import pytest

from tests.opinfo import OPINFOS
from tests.opinfo.calls import shown, tensors_of
from tests.opinfo.maker import Maker

REFUSING = [name for name, info in OPINFOS.items() if info.refused]


@pytest.mark.parametrize("name", REFUSING)
def test_refused_inputs(name):
    info = OPINFOS[name]
    for refusal in info.refused(Maker(0, "float32")):
        with shown(refusal.arguments):
            arguments, _ = tensors_of(info, refusal.arguments)
            with pytest.raises(refusal.error, match=refusal.says) as caught:
                info(*arguments.args, **arguments.kwargs)
            message = str(caught.value)
            assert name in message
            assert "\n" not in message
            assert type(caught.value) is refusal.error
