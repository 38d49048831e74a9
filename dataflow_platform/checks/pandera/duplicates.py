"""Keys that no two rows may share."""

from collections.abc import Sequence
from typing import Any

from dataflow_platform.checks.pandera.declared import Declared
from dataflow_platform.checks.pandera.parts import Test
from dataflow_platform.checks.pandera.seen import Seen
from dataflow_platform.core import sql


def repeats(seen: Sequence[Seen], declared: Declared, schema: Any) -> Test:
    """The test that no two rows have the same values of ``seen``; missing values are equal to one another.

    ``schema`` says by ``report_duplicates`` whether all rows of a key that repeats are counted, or all but one.
    """
    names = [each.name for each in seen]
    reported = getattr(schema, "report_duplicates", "all") if declared.flavour == "pandas" else "all"
    keys = ", ".join(_key(each, declared) for each in seen)
    return Test(
        f"{', '.join(names)} is there more than once",
        verdict=_verdict(keys, names, all_of_them=reported == "all"),
        breaks=f"{_PLACE[reported == 'all']} OVER (PARTITION BY {keys}) > 1",
        column=names[0] if len(names) == 1 else None,
        dimension="uniqueness",
    )


_PLACE = {True: "count(*)", False: "row_number()"}


def _key(seen: Seen, declared: Declared) -> str:
    # pandas has one word for NaN and for a missing value; to polars they differ.
    one_word = seen.is_float and seen.unread is None and declared.flavour == "pandas"
    return f"nullif({seen.value}, CAST('NaN' AS {seen.column.type}))" if one_word else seen.key


def _verdict(keys: str, names: Sequence[str], all_of_them: bool) -> str:
    words = sql.literal(f" of ({', '.join(names)})")
    counted = "n" if all_of_them else "n - 1"
    verb = "share" if all_of_them else "repeat"
    return (
        f"SELECT CAST(coalesce(sum({counted}), 0) AS BIGINT) AS failing, CASE WHEN count(*) = 0 "
        f"THEN 'no key' || {words} || ' repeats' "
        f"ELSE CAST(sum({counted}) AS BIGINT) || ' rows {verb} ' || count(*) || ' keys' || {words} END AS sentence "
        f"FROM (SELECT count(*) AS n FROM staged GROUP BY {keys} HAVING count(*) > 1) AS repeated"
    )
