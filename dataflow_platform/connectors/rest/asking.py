"""Single things asked of an API by key, several at once, on an event loop of its own."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.batches import decode
from dataflow_platform.connectors.rest.client import Client, place
from dataflow_platform.connectors.rest.request import Request
from dataflow_platform.core.errors import DataError, DataflowError, TransientError
from dataflow_platform.core.keyed_client import KeyedClient, Question

_ONE_QUESTION_ONLY = ("rest.rejected",)
"""Errors that another question may escape, beside those that pass by themselves."""


class RestKeyedClient(KeyedClient):
    """GET for each question, by one client: its rate and connections are shared."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._client = Client(access)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rest-asking", daemon=True)
        self._thread.start()
        self._closed = False

    def ask(self, questions: Sequence[Question], at_once: int) -> list[Any | DataflowError]:
        """One request for each."""
        return asyncio.run_coroutine_threadsafe(self._all(questions, at_once), self._loop).result()

    async def _all(self, questions: Sequence[Question], at_once: int) -> list[Any | DataflowError]:
        places = asyncio.Semaphore(at_once)

        async def one(question: Question) -> Any | DataflowError:
            async with places:
                return await self._one(question)

        tasks = [asyncio.ensure_future(one(question)) for question in questions]
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _one(self, question: Question) -> Any | DataflowError:
        url = f"{self._access.base_url.rstrip('/')}/{question.path.lstrip('/')}"
        # The path holds the key, and a key is a value: errors name the address alone.
        where = place(self._access.base_url, 1)
        try:
            reply = await self._client.get(Request(url, dict(question.params)), where)
            return decode(reply.body, exact=True)
        except ValueError:
            return DataError(
                "rest.not_json", "an answer is no JSON", where=where, fix="check path: is it the API's own address?"
            )
        except DataflowError as error:
            if error.code == "rest.not_found":
                return None
            if isinstance(error, TransientError) or error.code in _ONE_QUESTION_ONLY:
                return error
            raise

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
