"""ONNX's own tests of backends, run against ours."""

import importlib
import unittest
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX's tests need onnx")

from gatewise.errors import GatewiseError  # noqa: E402
from gatewise.interop.onnx import Backend  # noqa: E402

RECURRENT = {"LSTM", "GRU", "RNN"}


def operators_of(case):
    return {node.op_type for node in case.model.graph.node}


def arrays_of(tensors):
    return [
        onnx.numpy_helper.to_array(tensor) if isinstance(tensor, onnx.TensorProto) else tensor
        for tensor in tensors
    ]


def test_recurrent_cases():
    """The node cases of RNN, GRU and LSTM: 18 of 18."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx.backend.test.case.node as node_cases

        for name in ("rnn", "gru", "lstm"):  # their import collects the cases
            importlib.import_module(f"onnx.backend.test.case.node.{name}")
    cases = [case for case in node_cases._NodeTestCases if operators_of(case) & RECURRENT]
    assert len(cases) == 18
    for case in cases:
        prepared = Backend.prepare(case.model)
        for inputs, outputs in case.data_sets:
            found = prepared.run(arrays_of(inputs))
            assert len(found) == len(outputs)
            for ours, theirs in zip(found, arrays_of(outputs)):
                assert ours.dtype == theirs.dtype
                assert ours.shape == theirs.shape
                np.testing.assert_allclose(
                    ours, theirs, rtol=case.rtol, atol=case.atol, err_msg=case.name
                )


def claimed(case):
    try:
        Backend.prepare(case.model)
    except GatewiseError as error:
        return error
    return None


@pytest.mark.long
def test_all_cases_that_are_claimed():
    """What is_compatible accepts passes; what it refuses is refused for its types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test import BackendTest
        from onnx.backend.test.loader import load_model_tests

        tests = BackendTest(Backend, __name__)
        refused = {case.name: claimed(case) for case in load_model_tests(kind="node")}
        names = [name for name, error in refused.items() if error is None]
        # kinds of tensors that NumPy lacks, and kinds of values that are no tensors
        for case in load_model_tests(kind="node"):
            if refused[case.name] is not None and all(map(Backend.supports, operators_of(case))):
                reason = str(refused[case.name])
                assert any(word in reason for word in ("tensor", "attribute", "operator set 8")), (
                    case.name,
                    reason,
                )
        for name in names:
            tests.include(f"^{name}_cpu$")
        result = unittest.TestResult()
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(
            tests.test_cases["OnnxBackendNodeModelTest"]
        )
        suite.run(result)
    assert not result.errors, result.errors[0]
    assert not result.failures, result.failures[0]
    ran = result.testsRun - len(result.skipped)
    assert ran == len(names) > 1000
    assert sum("lstm" in name or "gru" in name or "rnn" in name for name in names) == 18
