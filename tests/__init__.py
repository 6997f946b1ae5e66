"""What pytest checks annotations with: beartype, where an int is as good as a float (PEP 484)."""

import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped


def _has_arrays(function: Callable[..., Any]) -> bool:
    """Whether an annotation is an array's, or may be: a string is resolved by jaxtyping only."""
    annotations = inspect.get_annotations(function).values()
    return any(isinstance(a, str) or "jaxtyping." in repr(a) for a in annotations)


def _checked(function: Any = None, **options: Any) -> Any:
    """`jaxtyping.jaxtyped`, which costs ten times as much as beartype, only where arrays are."""
    if function is None:
        return lambda decorated: _checked(decorated, **options)
    if inspect.isfunction(function) and not _has_arrays(function):
        return check(function)
    return _jaxtyped(function, **options)


# The import hook of jaxtyping decorates every function of the package with it.
jaxtyping.jaxtyped = _checked
