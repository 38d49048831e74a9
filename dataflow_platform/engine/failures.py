"""The one boundary where errors of the line become Dagster's: retried, or failed with code and fix."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from dataflow_platform.core.errors import DataflowError, TransientError


@contextmanager
def boundary(retries: int, delay_seconds: float, attempt: int) -> Iterator[None]:
    """Turn errors inside the block into ``dg.RetryRequested`` (transient) or ``dg.Failure`` (all others).

    Waits double with every attempt; a server's own wish (Retry-After) is respected where longer.
    """
    try:
        yield
    except TransientError as error:
        if attempt >= retries:
            raise as_failure(error) from error
        wait = max(error.retry_after or 0.0, delay_seconds * 2**attempt)
        raise dg.RetryRequested(max_retries=retries, seconds_to_wait=wait) from error
    except DataflowError as error:
        raise as_failure(error) from error


def as_failure(error: DataflowError) -> dg.Failure:
    """The Dagster failure for an error that retrying will not mend."""
    return dg.Failure(
        description=str(error),
        metadata={"code": error.code, "where": str(error.where) or "-", "fix": error.fix},
        allow_retries=False,
    )
