"""What we use of Pandera beside its public interface is there, and means what we take it for."""

import pandera.pandas as pa
import pandera.polars as pp
import pytest
from pandera.api.function_dispatch import Dispatcher

from dataflow_platform.checks.pandera.built_in import OPERATIONS
from dataflow_platform.checks.pandera.private_names import built_in


@pytest.mark.parametrize("module", [pa, pp])
def test_the_function_of_a_check_tells_a_built_in(module: object) -> None:
    check = pa.Check.ge(1, name="greater_than", error="greater_than(1)")
    assert isinstance(check._check_fn, Dispatcher)
    # A column copies its checks: what was the built-in's function before is no longer the very same.
    (copied,) = module.Column(int, check).checks  # type: ignore[attr-defined]
    assert [built_in(each) for each in (check, copied)] == ["greater_than_or_equal_to"] * 2


def greater_than(series: object, min_value: int) -> bool:
    """A function of one's own that is called like a built-in."""
    return series is min_value


def test_a_function_of_ones_own_is_none_whatever_it_is_called() -> None:
    alike = pa.Check(greater_than, name="greater_than", statistics={"min_value": 1}, error="greater_than(1)")
    assert built_in(alike) is None
    assert built_in(pa.Check(lambda value: value > 1, element_wise=True)) is None
    assert built_in(pa.Hypothesis(lambda one: (1, 1), relationship="equal", groupby=None)) is None


def test_every_built_in_of_the_version_is_known() -> None:
    # Those of arrays (xarray) are not for tables: Pandera says so when it runs them. T-tests are of pa.Hypothesis.
    of_arrays = {
        "has_dims", "has_coords", "has_attrs", "has_encoding", "ndim", "dim_size", "is_monotonic",
        "no_duplicates_in_coord", "cf_standard_name", "cf_units", "cf_has_standard_names", "cf_has_cell_methods",
        "one_sample_ttest", "two_sample_ttest",
    }  # fmt: skip
    assert set(filter(pa.Check.is_builtin_check, dir(pa.Check))) - of_arrays == OPERATIONS
