"""The process behind a tunnel: it logs in to an SSH server and passes the bytes of one local port through it.

Run by its path, with the settings as one line of JSON on its input; it answers with one line, the port or what went
wrong, and ends with its input. It imports nothing of this package, whose import takes seconds.
"""

import asyncio
import json
import os
import sys
from typing import Any

_KEEP_ALIVE_SECONDS = 30


async def _forward(settings: dict[str, Any]) -> None:
    import asyncssh

    try:
        connection = await _connect(settings)
    except asyncssh.HostKeyNotVerifiable as error:
        return _fail("host_key", error)
    except asyncssh.PermissionDenied as error:
        return _fail("login", error)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, FileNotFoundError, PermissionError) as error:
        return _fail("key", error)
    except (OSError, TimeoutError, asyncssh.Error) as error:
        return _fail("tcp", error)
    async with connection:
        target = (settings["target_host"], settings["target_port"])
        try:
            # A local port accepts whatever happens behind it: what the SSH server cannot reach is told now.
            _, writer = await connection.open_connection(*target)
            writer.close()
            listener = await connection.forward_local_port("127.0.0.1", 0, *target)
        except asyncssh.Error as error:
            return _fail("target", error)
        _tell({"port": listener.get_port()})
        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        lost = asyncio.ensure_future(connection.wait_closed())
        await asyncio.wait([ended, lost], return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            os._exit(1)  # a thread still waits for input
    return None


async def _connect(settings: dict[str, Any]) -> Any:
    import asyncssh

    known: Any = settings["known_hosts"]
    if settings["host_key"]:
        known = ([asyncssh.import_public_key(settings["host_key"])], [], [])
    given: dict[str, Any] = {}
    if settings["private_key"]:
        given["client_keys"] = [asyncssh.read_private_key(settings["private_key"], settings["passphrase"] or None)]
    elif settings["password"]:
        given["client_keys"] = None
    if given:
        given["agent_path"] = None  # what is declared is used, and nothing else
    return await asyncssh.connect(
        settings["host"],
        settings["port"],
        username=settings["user"],
        password=settings["password"] or None,
        known_hosts=known,
        config=None,
        connect_timeout=settings["seconds"],
        login_timeout=settings["seconds"],
        keepalive_interval=_KEEP_ALIVE_SECONDS,
        **given,
    )


def _fail(problem: str, error: BaseException) -> None:
    _tell({"problem": problem, "said": str(error).strip() or type(error).__name__})


def _tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(_forward(json.loads(sys.stdin.readline())))
    except ModuleNotFoundError as missing:
        _tell({"problem": "driver", "said": f"the package {missing.name} is not installed"})
    # Not by the usual way: a thread may still wait for input.
    os._exit(0)
