"""Records that mean one thing, found by Splink in an engine of its own that spills."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataflow_platform.core.errors import DataError, DataflowError
from dataflow_platform.core.spilling_engine import spilling_engine
from dataflow_platform.core.sql import literal, quote

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

CLUSTER, WEIGHT, REVIEW = "cluster_id", "match_weight", "review_with"
"""The columns that are added."""
_BATCH = 50_000


@dataclass(frozen=True)
class Compared:
    """How a column is compared: by which measure, at which thresholds, and whether rare values weigh more."""

    column: str
    by: str
    at: tuple[float, ...]
    rare_values_weigh_more: bool


@dataclass(frozen=True)
class Linkage:
    """What records are linked by. A rule is a list of SQL expressions that two records have to agree in."""

    key: str
    columns: tuple[str, ...]
    compared: tuple[Compared, ...]
    blocking: tuple[tuple[str, ...], ...]
    certain: tuple[tuple[str, ...], ...]
    recall: float
    match: float
    review: float
    sampled_pairs: int
    memory_limit: str
    threads: int

    def linked(self, reader: "pa.RecordBatchReader") -> "pa.RecordBatchReader":
        """The rows with ``CLUSTER``, ``WEIGHT`` and ``REVIEW`` behind their columns."""
        import pyarrow as pa

        engine = spilling_engine("resolve_entities", self.memory_limit, self.threads, "")
        try:
            engine.register("given", reader)
            engine.execute("CREATE TABLE rows AS SELECT * FROM given")
            engine.unregister("given")
            self._refuse_keys(engine)
            found = engine.sql(self._result(engine)).to_arrow_reader(_BATCH)
        except BaseException:
            engine.close()
            raise

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from found
            finally:
                engine.close()

        return pa.RecordBatchReader.from_batches(found.schema, batches())

    def _refuse_keys(self, engine: "duckdb.DuckDBPyConnection") -> None:
        key = quote(self.key)
        counted = engine.execute(f"SELECT count(*), count({key}), count(DISTINCT {key}) FROM rows").fetchone() or ()
        if len(set(counted)) > 1:
            raise DataError(
                "resolve_entities.key", f"{self.key} is NULL, or the same, in {counted[0] - counted[2]} rows",
                where="key", fix="name a column that is different in each row, or deduplicate before",
            )  # fmt: skip

    def _result(self, engine: "duckdb.DuckDBPyConnection") -> str:
        """The rows with what was found, as SQL."""
        key = quote(self.key)
        several = engine.execute("SELECT count(*) > 1 FROM rows").fetchone()
        if not several or not several[0]:
            nothing = f"CAST(NULL AS DOUBLE) AS {WEIGHT}, CASE WHEN FALSE THEN {key} END AS {REVIEW}"
            return f"SELECT *, {key} AS {CLUSTER}, {nothing} FROM rows"
        pairs, clusters = self._found(engine)
        left, right = quote(f"{self.key}_l"), quote(f"{self.key}_r")
        known = f"match_weight AS weight, match_probability < {literal(self.match)} AS unsure FROM {quote(pairs)}"
        return f"""
            WITH pairs AS (
                SELECT {left} AS one, {right} AS other, {known} UNION ALL SELECT {right}, {left}, {known}
            ),
            clusters AS (SELECT {key} AS one, cluster_id FROM {quote(clusters)}),
            best AS (SELECT one, max(weight) AS weight FROM pairs GROUP BY one),
            doubts AS (
                SELECT pairs.one, arg_max(pairs.other, (pairs.weight, pairs.other)) AS other
                FROM pairs JOIN clusters AS mine ON pairs.one = mine.one JOIN clusters AS its ON pairs.other = its.one
                WHERE unsure AND mine.cluster_id <> its.cluster_id GROUP BY pairs.one
            )
            SELECT rows.*, clusters.cluster_id AS {CLUSTER}, best.weight AS {WEIGHT}, doubts.other AS {REVIEW}
            FROM rows JOIN clusters ON rows.{key} = clusters.one
            LEFT JOIN best ON rows.{key} = best.one LEFT JOIN doubts ON rows.{key} = doubts.one"""

    def _found(self, engine: "duckdb.DuckDBPyConnection") -> tuple[str, str]:
        """The names of the tables with the pairs above the review threshold, and with the cluster of each record."""
        listed = ", ".join(map(quote, self.columns))
        # Ordered: what is sampled, and with it what is found, does not hang on the order in which rows came.
        engine.execute(f"CREATE TABLE records AS SELECT {listed} FROM rows ORDER BY {quote(self.key)}")
        try:
            return self._trained(engine)
        except DataflowError:
            raise
        except Exception as error:
            raise DataError(
                "resolve_entities.failed", f"Splink failed with {type(error).__name__}",
                fix="are there records that agree by a rule of `certain`, and by each rule of `blocking`?",
            ) from error  # fmt: skip

    def _trained(self, engine: "duckdb.DuckDBPyConnection") -> tuple[str, str]:
        from splink import DuckDBAPI, Linker, SettingsCreator, block_on

        def rules(of: Sequence[Sequence[str]]) -> list[Any]:
            return [block_on(*rule) for rule in of]

        settings = SettingsCreator(
            link_type="dedupe_only",
            unique_id_column_name=self.key,
            comparisons=[_comparison(each) for each in self.compared],
            blocking_rules_to_generate_predictions=rules(self.blocking),
            retain_matching_columns=False,
        )
        linker = Linker(DuckDBAPI(connection=engine).register("records"), settings, log_level=logging.ERROR)
        linker.training.estimate_probability_two_random_records_match(rules(self.certain), recall=self.recall)
        linker.training.estimate_u_using_random_sampling(max_pairs=self.sampled_pairs, seed=1)
        for rule in rules(self.blocking):
            linker.training.estimate_parameters_using_expectation_maximisation(rule)
        pairs = linker.inference.predict(threshold_match_probability=self.review, warning_mode="never")
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
            pairs, threshold_match_probability=self.match
        )
        return pairs.physical_name, clusters.physical_name


def _comparison(compared: Compared) -> Any:
    import splink.comparison_library as library

    column, at = quote(compared.column), list(compared.at)
    if compared.by == "exact":
        made: Any = library.ExactMatch(column)
    elif compared.by == "days":
        made = library.AbsoluteDateDifferenceAtThresholds(
            column, input_is_string=False, metrics=["day"] * len(at), thresholds=at
        )
    else:
        kinds: Any = {
            "levenshtein": library.LevenshteinAtThresholds,
            "damerau_levenshtein": library.DamerauLevenshteinAtThresholds,
            "jaro_winkler": library.JaroWinklerAtThresholds,
            "jaccard": library.JaccardAtThresholds,
        }
        made = kinds[compared.by](column, [int(each) for each in at] if compared.by.endswith("levenshtein") else at)
    return made.configure(term_frequency_adjustments=True) if compared.rare_values_weigh_more else made
