"""How a REST API is told who asks: what is written of it. ``auth_flows`` does it."""

import base64
from typing import Annotated, Literal

import dagster as dg
from pydantic import ConfigDict, Field

_FROM = "as `{{ env.NAME }}`."


def basic(username: str, password: str) -> str:
    """What a Basic header says of them."""
    return base64.b64encode(f"{username}:{password}".encode()).decode()


class _Auth(dg.Config):
    # A pydantic error would print the input, and with it the secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def headers(self) -> dict[str, str]:
        """The request headers that carry the proof, where they are the same for every request."""
        return {}

    def secrets(self) -> tuple[str, ...]:
        """Every text that must never be shown."""
        hidden = [getattr(self, name) for name, field in type(self).model_fields.items() if field.repr is False]
        texts = [text for value in hidden for text in (value.values() if isinstance(value, dict) else [value])]
        return tuple(text for text in texts if text)


class NoAuth(_Auth):
    """Anybody may ask."""

    type: Literal["none"] = Field(default="none", description="`none`: the API is open.")


class Bearer(_Auth):
    """``Authorization: Bearer <token>``."""

    type: Literal["bearer"] = Field(default="bearer", description="`bearer`: a token in the Authorization header.")
    token: str = Field(repr=False, description=f"The token, {_FROM}")

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class HeaderKey(_Auth):
    """A key in a header of the API's own."""

    type: Literal["header"] = Field(default="header", description="`header`: a key in a header of the API's own.")
    name: str = Field(description="The header's name, such as `X-API-Key`.")
    key: str = Field(repr=False, description=f"The key, {_FROM}")
    prefix: str = Field(default="", description="Text before the key, such as `SSWS ` or `Token token=`.")

    def headers(self) -> dict[str, str]:
        return {self.name: f"{self.prefix}{self.key}"}


class HeaderKeys(_Auth):
    """Several keys, each in a header of its own."""

    type: Literal["headers"] = Field(default="headers", description="`headers`: several keys, a header each.")
    credentials: dict[str, str] = Field(repr=False, description="Header to key, the keys as `{{ env.NAME }}`.")

    def headers(self) -> dict[str, str]:
        return dict(self.credentials)


class QueryKey(_Auth):
    """A key in the query. It is added when a request is sent, so no log, error or link shows it."""

    type: Literal["query"] = Field(default="query", description="`query`: a key as a query parameter.")
    name: str = Field(description="The parameter's name, such as `api_key`.")
    key: str = Field(repr=False, description=f"The key, {_FROM}")


class BodyKeys(_Auth):
    """Credentials among the values of a JSON or form body."""

    type: Literal["body"] = Field(default="body", description="`body`: keys in the body of each request.")
    credentials: dict[str, str] = Field(
        repr=False, description="Name in the body to key, the keys as `{{ env.NAME }}`."
    )


class Basic(_Auth):
    """User name and password."""

    type: Literal["basic"] = Field(default="basic", description="`basic`: user name and password.")
    username: str = Field(default="", repr=False, description="The user's name; some APIs take their key here.")
    password: str = Field(default="", repr=False, description=f"The password, {_FROM}")

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Basic {basic(self.username, self.password)}"}

    def secrets(self) -> tuple[str, ...]:
        # Where there is no password the name is the key.
        return (basic(self.username, self.password), self.password or self.username)


class Digest(_Auth):
    """HTTP digest (RFC 7616): the server asks a riddle first."""

    type: Literal["digest"] = Field(
        default="digest", description="`digest`: user name and password, as a riddle's answer."
    )
    username: str = Field(description="The user's name.")
    password: str = Field(repr=False, description=f"The password, {_FROM}")


class _Token(_Auth):
    token_url: str = Field(description="Address that gives tokens.")
    scope: str = Field(default="", description="Scopes, with spaces between them.")
    params: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Further values of the request for a token, such as `audience`."
    )
    token_path: str = Field(default="access_token", description="Path of the token in the answer.")
    header: str = Field(default="Authorization", description="Header that carries the token.")
    prefix: str = Field(default="Bearer ", description="Text before the token in that header.")


class ClientCredentials(_Token):
    """OAuth 2 client credentials: id and secret are changed for a token that lasts a while."""

    type: Literal["oauth2_client_credentials"] = Field(
        default="oauth2_client_credentials",
        description="`oauth2_client_credentials`: id and secret are changed for tokens.",
    )
    client_id: str = Field(description="The client's id.")
    client_secret: str = Field(repr=False, description=f"The client's secret, {_FROM}")
    client_auth: Literal["body", "header"] = Field(
        default="body", description="Where id and secret go: into the form, or into a Basic header."
    )
    grant_type: str = Field(default="client_credentials", description="The grant type asked for.")


class RefreshToken(_Token):
    """OAuth 2 with a refresh token. Where the API gives a new one each time, it is kept for the next run."""

    type: Literal["oauth2_refresh_token"] = Field(
        default="oauth2_refresh_token",
        description="`oauth2_refresh_token`: a long-lived token is changed for short-lived ones.",
    )
    client_id: str = Field(description="The client's id.")
    client_secret: str = Field(default="", repr=False, description=f"The client's secret, {_FROM}")
    refresh_token: str = Field(repr=False, description=f"The refresh token, {_FROM}")
    client_auth: Literal["body", "header"] = Field(
        default="body", description="Where id and secret go: into the form, or into a Basic header."
    )
    token_file: str | None = Field(
        default=None,
        description="File, readable by its owner only, that keeps a rotated refresh token; when absent one in "
        "`.dataflow/tokens`.",
    )


class JwtAssertion(_Token):
    """A signed assertion is changed for a token: service accounts, SMART backend services, private-key clients."""

    type: Literal["oauth2_jwt"] = Field(
        default="oauth2_jwt", description="`oauth2_jwt`: a signed assertion is changed for tokens."
    )
    token_url: str = Field(default="", description="Address that gives tokens; that of the service account if empty.")
    private_key: str = Field(default="", repr=False, description=f"The private key as PEM, {_FROM}")
    service_account: str = Field(
        default="", repr=False, description=f"A service account's key file as JSON text, {_FROM} It brings the rest."
    )
    issuer: str = Field(default="", description="Claim `iss`.")
    subject: str = Field(default="", description="Claim `sub`: on whose behalf; the issuer where `as_client` is set.")
    audience: str = Field(default="", description="Claim `aud`; `token_url` when empty.")
    key_id: str = Field(default="", description="Header `kid` of the assertion.")
    algorithm: Literal["RS256", "RS384", "RS512", "ES256", "ES384"] = Field(
        default="RS256", description="How it is signed."
    )
    as_client: bool = Field(
        default=False, description="The assertion proves a client (`client_credentials`) instead of being the grant."
    )
    claims: dict[str, str] = Field(default_factory=dict, description="Further claims.")
    lifetime_seconds: int = Field(default=300, gt=0, description="How long an assertion holds.")


class SessionLogin(_Auth):
    """A login gives a token, which is sent with every request until it is refused."""

    type: Literal["session"] = Field(default="session", description="`session`: a login gives a token.")
    url: str = Field(description="Address, or path below `base_url`, of the login.")
    method: Literal["POST", "GET"] = Field(default="POST", description="HTTP method of the login.")
    body: dict[str, str] = Field(default_factory=dict, repr=False, description="JSON body of the login.")
    form: bool = Field(default=False, description="The body is sent as a form.")
    username: str = Field(default="", description="User name of a Basic header of the login; none if empty.")
    password: str = Field(default="", repr=False, description=f"Its password, {_FROM}")
    token_path: str = Field(
        default="token", description="Path of the token in the answer, or `header:Name`, or `cookie:name`."
    )
    header: str = Field(default="Authorization", description="Header that carries the token; `Cookie` for a cookie.")
    prefix: str = Field(default="Bearer ", description="Text before the token in that header.")
    lifetime_seconds: float = Field(default=3600, gt=0, description="How long a token is used before a new login.")


class AwsSigV4(_Auth):
    """AWS Signature Version 4."""

    type: Literal["aws_sigv4"] = Field(default="aws_sigv4", description="`aws_sigv4`: signed as AWS asks for it.")
    access_key: str = Field(description="Id of the access key.")
    secret_key: str = Field(repr=False, description=f"The secret key, {_FROM}")
    session_token: str = Field(default="", repr=False, description=f"Token of temporary credentials, {_FROM}")
    region: str = Field(description="Region, such as `eu-central-1`.")
    service: str = Field(description="Name of the service, such as `execute-api`.")


AnyAuth = (
    NoAuth | Bearer | HeaderKey | HeaderKeys | QueryKey | BodyKeys | Basic | Digest
    | ClientCredentials | RefreshToken | JwtAssertion | SessionLogin | AwsSigV4
)  # fmt: skip
Auth = Annotated[AnyAuth, Field(discriminator="type")]
