"""A login that gives a token or a cookie."""

from dataflow_platform.connectors.rest.auth import basic
from dataflow_platform.connectors.rest.auth_flows import Send, TokenFlow, token_in
from dataflow_platform.connectors.rest.outgoing import Outgoing


class SessionFlow(TokenFlow):
    """Logs in once; again after the token's time, or when it is refused."""

    async def fetch(self, send: Send) -> tuple[str, float]:
        from yarl import URL

        written = self.written
        url = URL(self._access.address(written.url))
        where = f"{written.method} {url.with_query(None)} (login)"
        headers = {"Authorization": f"Basic {basic(written.username, written.password)}"} if written.username else {}
        body = written.body or None
        reply = await send(Outgoing(written.method, url, headers, body, written.form), where)
        return token_in(reply, written.token_path, where, self.written.secrets()), written.lifetime_seconds
