"""Asynchronous exports: created, asked for until they are done, downloaded as pages."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from dataflow_platform.connectors.rest import errors, template, value_path
from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.client import Client, SkippedError, place
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.connectors.rest.reply import Reply
from dataflow_platform.connectors.rest.request import Answer, Request
from dataflow_platform.connectors.rest.walk import Page, Walk, Watch


class JobPages:
    """The pages of what a job made."""

    def __init__(
        self, client: Client, access: Access, endpoint: Endpoint, create: Request, values: Mapping[str, Any],
        exact: bool, added: Mapping[str, Any], watch: Watch,
    ) -> None:  # fmt: skip
        self._client, self._access, self._endpoint, self._create = client, access, endpoint, create
        self._values, self._exact, self._added, self._watch = dict(values), exact, added, watch
        self._walks: list[Walk] | None = None
        self._number = 0

    async def next(self) -> Page | None:
        """The next page of the results; the first call waits until the job is done."""
        if self._walks is None:
            self._walks = [self._walk(address) for address in await self._made()]
        while self._walks:
            page = await self._walks[0].next()
            if page is not None:
                return page
            self._walks.pop(0)
        return None

    async def close(self) -> None:
        """Let go of a result that is not read to its end."""
        for walk in self._walks or ():
            await walk.close()

    def _walk(self, address: str) -> Walk:
        request = Request(self._access.address(address), to_file=self._endpoint.format in ("csv", "jsonl"))
        return Walk(self._client, self._access, self._endpoint, request, self._exact, self._added, self._watch)

    async def _made(self) -> list[str]:
        """The addresses of the results, once they are there."""
        job = self._endpoint.job
        assert job is not None
        where = place(self._create.url, 1, self._create.method)
        try:
            answer = await self._asked(self._create, where)
        except SkippedError:
            return []
        for name, path in job.values.items():
            found = answer.at(path)
            if found is None:
                raise errors.no_job(name, path, where)
            self._values[f"job.{name}"] = found
        done = await self._waited()
        if done is None:
            return []
        if job.urls:
            return [str(url) for found in value_path.find_all(done.body, job.urls) if found
                    for url in (found if isinstance(found, list) else [found])]  # fmt: skip
        return [template.fill_path(job.result or job.poll.path, self._values)]

    async def _waited(self) -> Answer | None:
        """The answer that says the job is done; None where it says that there are no rows."""
        job = self._endpoint.job
        assert job is not None
        wait, ends = job.interval_seconds, time.monotonic() + job.timeout_seconds
        address = self._access.address(template.fill_path(job.poll.path, self._values))
        body = template.fill_all(job.poll.body, self._values) if job.poll.body is not None else None
        where = place(address, 1, job.poll.method)
        while True:
            answer = await self._asked(Request(address, method=job.poll.method, body=body), where)
            status = template.as_text(value_path.find(answer.body, job.status))
            if status in job.done:
                return answer
            if status in job.empty:
                return None
            if status in job.failed:
                said = value_path.find(answer.body, job.message) if job.message else None
                raise errors.job_failed(status, errors.redact(str(said or "").encode(), self._access.secrets), where)
            if time.monotonic() + wait > ends:
                raise errors.job_late(job.timeout_seconds, status, where)
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, job.interval_seconds * 6)

    async def _asked(self, request: Request, where: str) -> Answer:
        def decode(reply: Reply) -> Answer:
            body = reply.value() if reply.body.strip() else None
            return Answer(body, reply.url, reply.headers, reply.links)

        return await self._client.read(request, where, decode, tuple(self._endpoint.errors))
