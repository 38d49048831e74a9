"""A function of one value, called once for each distinct value of an Arrow array."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

REMEMBERED = 100_000
"""Values whose answers are kept from batch to batch."""


def per_distinct(
    answer: Callable[[Any], Any], gives: Callable[[], "pa.DataType"]
) -> "Callable[[pa.Array[Any]], pa.Array[Any]]":
    """``answer`` over arrays: NULL stays NULL and is not asked for, None is NULL; ``gives`` is the type of the answers.

    Answers are remembered from batch to batch, up to a bound.
    """
    remembered = lru_cache(maxsize=REMEMBERED)(answer)

    def call(values: "pa.Array[Any]") -> "pa.Array[Any]":
        import pyarrow as pa
        import pyarrow.compute as pc

        coded: Any = pc.dictionary_encode(values)
        given = pa.array([remembered(value) for value in coded.dictionary.to_pylist()], type=gives())
        return given.take(coded.indices)

    return call
