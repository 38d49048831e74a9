"""The rules that ``schema_checks`` measures, in whichever flavour of Pandera."""

from datetime import date, datetime
from types import ModuleType
from typing import Any

COUNTRIES = ["DE", "FR", "IT", "ES", "PL", "SE", "NL", "BE"]
BOUNDS = (datetime(2020, 1, 1), datetime(2040, 1, 1))  # the column has no zone


def columns(flavour: ModuleType) -> dict[str, Any]:
    """Eight columns and 25 rules: eight on missing values, 17 on the others."""
    check, column = flavour.Check, flavour.Column
    return {
        "id": column(checks=[check.ge(0), check.lt(10**12)]),
        "amount": column(checks=[check.in_range(0.0, 990.0), check.ne(13.0)]),
        "quantity": column(checks=[check.ge(0), check.le(48), check.notin([7])]),
        "code": column(checks=[check.str_matches("[A-Z]{2}[0-9]+"), check.str_length(3, 12), check.str_endswith("X")]),
        "country": column(checks=[check.isin(COUNTRIES), check.str_length(2, 2)]),
        "day": column(checks=[check.ge(date(2020, 1, 1)), check.le(date(2026, 12, 30))]),
        "changed": column(checks=[check.in_range(*BOUNDS)]),
        "name": column(checks=[check.str_startswith("customer"), check.ne("customer 5")]),
    }
