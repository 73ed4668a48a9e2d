"""ONNX models run by gatewise: its kernels for recurrent operators, NumPy for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, DTypeError, GatewiseError, ShapeError

from .control import CONTROL, check_control, run_graph
from .graphs import NEWEST, Graph, Port, read_call
from .operators import OPERATORS, check_call, run_call
from .reading import graph_of, onnx_package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewise._typing import Array

onnx_package()  # names the extra that installs it
from onnx.backend.base import Backend as _Backend  # noqa: E402
from onnx.backend.base import BackendRep, namedtupledict  # noqa: E402


class Prepared(BackendRep):
    """A model that :class:`Backend` has prepared.

    Parameters
    ----------
    graph : Graph
        What it computes.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._named = namedtupledict("Outputs", [port.name for port in graph.outputs])

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, list of str."""
        return [port.name for port in self._graph.inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, list of str."""
        return [port.name for port in self._graph.outputs]

    def run(self, inputs: Any, **kwargs: Any) -> Any:
        """Compute the outputs.

        Parameters
        ----------
        inputs : list, tuple, dict or ndarray
            An array for each input, in order or by name; one array of a model with one input.
        **kwargs
            Nothing: there are no options.

        Returns
        -------
        namedtuple of ndarray
            The outputs, in order and by name.

        Raises
        ------
        DTypeError, ShapeError
            An input is of another dtype or shape than the model says.
        GatewiseError
            A node cannot be computed; the message names it.
        """
        if kwargs:
            raise ConfigError(f"run has no options {', '.join(kwargs)}")
        values: dict[str, Any] = dict(self._checked(inputs))
        return self._named(*run_graph(self._graph, values))

    def _checked(self, inputs: Any) -> dict[str, Array]:
        ports = self._graph.inputs
        if isinstance(inputs, dict):
            by_name: Mapping[str, Any] = inputs
            if set(by_name) != {port.name for port in ports}:
                raise ShapeError(
                    f"the model reads {', '.join(self.inputs)}, and is given"
                    f" {', '.join(map(str, by_name))}"
                )
            given: Sequence[Any] = [by_name[port.name] for port in ports]
        elif isinstance(inputs, list | tuple):
            given = inputs
        else:
            given = [inputs]
        if len(given) != len(ports):
            raise ShapeError(
                f"the model reads {len(ports)} inputs, {', '.join(self.inputs)}, and is given"
                f" {len(given)}"
            )
        sizes: dict[str, int] = {}
        return {port.name: _matched(port, np.asarray(x), sizes) for port, x in zip(ports, given)}


def _matched(port: Port, x: Array, sizes: dict[str, int]) -> Array:
    """Return an input if it has the dtype and shape that the model says."""
    if x.dtype != port.dtype:
        raise DTypeError(f"input {port.name!r} is of {x.dtype}; the model reads {port.dtype}")
    if port.shape is None:
        return x
    fits = x.ndim == len(port.shape)
    for extent, expected in zip(x.shape, port.shape if fits else ()):
        if isinstance(expected, str):  # the same number wherever the name is
            expected = sizes.setdefault(expected, extent)
        fits = fits and expected in (None, extent)
    if not fits:
        raise ShapeError(f"input {port.name!r} has shape {x.shape}; the model reads {port.shape}")
    return x


def _check_calls(graph: Graph) -> None:
    """Refuse operators that are not supported, in the graphs inside nodes too."""
    for call in graph.calls:
        if call.op in CONTROL:
            check_control(call)
        else:
            check_call(call)
        for body in call.bodies:
            _check_calls(body)


class Backend(_Backend):
    """Runs ONNX models: an ``onnx.backend.base.Backend``.

    RNN, GRU and LSTM run on gatewise's kernels, with all attributes, in float32 and float64. All
    other operators of :meth:`supports` run in NumPy. Operator sets 7 to 28 are supported, and
    tensors of floats (float16 too, except in recurrent operators), whole numbers and booleans.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import helper, TensorProto
    >>> from gatewise.interop.onnx import Backend
    >>> node = helper.make_node("Add", ["a", "b"], ["c"])
    >>> ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "abc"]
    >>> graph = helper.make_graph([node], "sum", ports[:2], ports[2:])
    >>> model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    >>> a, b = np.float32([1, 2]), np.float32([3, 4])
    >>> Backend.prepare(model).run([a, b]).c.tolist()
    [4.0, 6.0]
    """

    @classmethod
    def supports(cls, operator: str) -> bool:
        """Return whether nodes of this operator can be run.

        Parameters
        ----------
        operator : str
            Name of the operator, "LSTM" for instance.
        """
        return operator in OPERATORS or operator in CONTROL

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **kwargs: Any) -> bool:
        """Return whether a model can be run: its operators, types, and operator set.

        Parameters
        ----------
        model : path, bytes or onnx.ModelProto
            The model.
        device : str, default "CPU"
            Where it is to run.
        **kwargs
            Nothing: there are no options.
        """
        try:
            cls.prepare(model, device, **kwargs)
        except GatewiseError:
            return False
        return True

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Read a model, and check that all of its operators are supported.

        Parameters
        ----------
        model : path, bytes or onnx.ModelProto
            The model. External data are read from the folder of a file only.
        device : str, default "CPU"
            Where it is to run.
        **kwargs
            Nothing: there are no options.

        Returns
        -------
        Prepared
            ``run(inputs)`` computes its outputs.

        Raises
        ------
        CheckpointError
            The model is damaged.
        ConfigError
            An operator, a type or the operator set is not supported, or the device.
        """
        if kwargs:
            raise ConfigError(f"prepare has no options {', '.join(kwargs)}")
        if not cls.supports_device(device):
            raise ConfigError(f"device={device!r}: gatewise runs on CPU")
        graph = graph_of(model)
        _check_calls(graph)
        return Prepared(graph)

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> Any:
        """Compute the outputs of a model once.

        Parameters
        ----------
        model : path, bytes or onnx.ModelProto
            The model.
        inputs : list, tuple, dict or ndarray
            See :meth:`Prepared.run`.
        device : str, default "CPU"
            Where it is to run.
        **kwargs
            Nothing: there are no options.
        """
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: Any,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Compute the outputs of one node.

        Parameters
        ----------
        node : onnx.NodeProto
            The node.
        inputs : list of ndarray
            What it reads, in order; None for an input that is left out.
        device : str, default "CPU"
            Where it is to run.
        outputs_info : sequence, optional
            Dtypes and shapes of the outputs, which are not needed here.
        **kwargs
            ``opset_version``, int: the operator set. The newest one if it is left out.

        Returns
        -------
        tuple of ndarray
            The outputs.

        Raises
        ------
        ConfigError, ShapeError
            The node is not supported, or cannot be computed of these inputs.
        """
        version = int(kwargs.pop("opset_version", NEWEST))
        if kwargs:
            raise ConfigError(f"run_node has no options {', '.join(kwargs)}")
        if not cls.supports_device(device):
            raise ConfigError(f"device={device!r}: gatewise runs on CPU")
        call = read_call(node, version)
        check_call(call)
        return tuple(run_call(call, [None if x is None else np.asarray(x) for x in inputs]))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Return whether the device is the CPU.

        Parameters
        ----------
        device : str
            "CPU", "CPU:0", "CUDA" and so on.
        """
        return device.partition(":")[0].upper() == "CPU"
