"""Functional forms of the layers that merge arrays, named as in Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .concatenating import Concatenate
from .merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from .products import Dot

if TYPE_CHECKING:
    from collections.abc import Sequence


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Add(**kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        At least two arrays.
    **kwargs
        Arguments of :class:`Add`.

    Returns
    -------
    ndarray
        Their sum.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import add
    >>> add([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 4.0]], "f")]).tolist()
    [[4.0, 6.0]]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Subtract(**kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        Two arrays.
    **kwargs
        Arguments of :class:`Subtract`.

    Returns
    -------
    ndarray
        The first minus the second.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import subtract
    >>> subtract([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[-2.0, -3.0]]
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Multiply(**kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        At least two arrays.
    **kwargs
        Arguments of :class:`Multiply`.

    Returns
    -------
    ndarray
        Their product, number by number.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import multiply
    >>> multiply([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[3.0, 10.0]]
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Average(**kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        At least two arrays.
    **kwargs
        Arguments of :class:`Average`.

    Returns
    -------
    ndarray
        Their mean, number by number.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import average
    >>> average([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[2.0, 3.5]]
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Maximum(**kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        At least two arrays.
    **kwargs
        Arguments of :class:`Maximum`.

    Returns
    -------
    ndarray
        The largest of their numbers, number by number.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import maximum
    >>> maximum([np.array([[1.0, 7.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[3.0, 7.0]]
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Minimum(**kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        At least two arrays.
    **kwargs
        Arguments of :class:`Minimum`.

    Returns
    -------
    ndarray
        The smallest of their numbers, number by number.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import minimum
    >>> minimum([np.array([[1.0, 7.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[1.0, 5.0]]
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Return ``Concatenate(axis, **kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        At least two arrays.
    axis : int, default -1
        The axis along which they are joined.
    **kwargs
        Other arguments of :class:`Concatenate`.

    Returns
    -------
    ndarray
        One array after the other.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import concatenate
    >>> concatenate([np.array([[1.0, 2.0]], "f"), np.array([[3.0]], "f")]).tolist()
    [[1.0, 2.0, 3.0]]
    """
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Return ``Dot(axes, **kwargs)(inputs)``.

    Parameters
    ----------
    inputs : list of ndarray
        Two arrays.
    axes : int or (int, int), default -1
        The axes over which products are summed.
    **kwargs
        Other arguments of :class:`Dot`.

    Returns
    -------
    ndarray
        The sums of products.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import dot
    >>> dot([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")], axes=1).tolist()
    [[13.0]]
    """
    return Dot(axes, **kwargs)(inputs)
