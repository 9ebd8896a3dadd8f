"""Plans of steps whose kernels are CUDA's, on the processor."""

import numpy as np

import tinynn as tn


def test_a_result_is_not_moved_to_where_groups_do_not_fit(with_cuda_kernels):
    """A plan makes what is only copied where it is copied to; here that begins 4 bytes too late."""

    @tn.compile
    def step(x):
        y = tn.zeros(9)
        y[1:] = tn.nn.functional.gated_activation(x, "silu")
        return y

    with tn.no_grad():
        first, again = (step(tn.arange(16.0)) for _ in range(2))
    assert first.tolist() == again.tolist()
    (gate,) = (
        action
        for action, call in zip(step.plan.actions, step.plan.call_of_action, strict=True)
        if call.name == "gate"
    )
    arrays = [array for array in gate.args if isinstance(array, np.ndarray)]
    assert len(arrays) == 2
    assert [array.__array_interface__["data"][0] % 16 for array in arrays] == [0, 0]
