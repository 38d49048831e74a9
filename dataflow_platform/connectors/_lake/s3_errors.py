"""What the errors of an S3-compatible store mean, whoever met them: boto3, DuckDB or deltalake."""

import re

from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError

# Pattern of the text, then type, code, and the fix. The first that fits counts.
_MEANINGS: tuple[tuple[str, type[DataflowError], str, str, str], ...] = (
    (
        r"NoSuchBucket|bucket does not exist",
        ConfigError,
        "s3.no_bucket",
        "there is no bucket '{bucket}'",
        "create it, or correct `path`",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|TokenRefreshRequired|AuthorizationHeader",
        ConfigError,
        "s3.credentials",
        "the store does not accept the key",
        "check access_key_id, secret_access_key, session_token and region",
    ),
    (
        r"AccessDenied|AllAccessDisabled|\b403\b|Forbidden|PermissionDenied|permission denied",
        ConfigError,
        "s3.access_denied",
        "the key may not do this in bucket '{bucket}'",
        "grant s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject below the prefix",
    ),
    (
        r"InvalidBucketName|Invalid bucket name|ParamValidation",
        ConfigError,
        "s3.bucket_name",
        "'{bucket}' is no name of a bucket",
        "correct `path`: s3://bucket/prefix",
    ),
    (
        r"PermanentRedirect|IllegalLocationConstraint|\b301\b",
        ConfigError,
        "s3.region",
        "the bucket '{bucket}' is in another region",
        "set `region`",
    ),
    (
        r"Invalid endpoint",
        ConfigError,
        "s3.endpoint",
        "the endpoint is no URL",
        "write it with its scheme: http://minio:9000",
    ),
    (
        r"NotImplemented|\b501\b",
        ConfigError,
        "s3.not_implemented",
        "the store does not know a request it needs to (conditional put)",
        "use a store that has If-None-Match: Amazon S3, MinIO since 2024, Cloudflare R2, Ceph since 19",
    ),
    (
        r"Could not connect|Connection refused|Connection reset|Could not resolve|Name or service not known|"
        r"EndpointConnectionError|timed? ?out|Timeout|ConnectionClosed|Connection error|error sending request|"
        r"Could not establish connection|Failed to connect",
        TransientError,
        "s3.unreachable",
        "the store does not answer",
        "check `endpoint` and the network; it is tried again where the pipeline has retries",
    ),
    (
        r"SlowDown|ServiceUnavailable|InternalError|RequestTimeout|\b50[0234]\b|TooManyRequests|\b429\b",
        TransientError,
        "s3.busy",
        "the store asks to come back later",
        "run it again",
    ),
    (
        r"NoCredentials|Unable to locate credentials",
        ConfigError,
        "s3.no_credentials",
        "there is no key for the store",
        "set access_key_id and secret_access_key by environment variables",
    ),
)


def meaning(error: BaseException, text: str, where: str, bucket: str) -> DataflowError | None:
    """The platform's error for one about the store; None where it is about something else. ``text`` has no secret."""
    for pattern, kind, code, what, fix in _MEANINGS:
        if re.search(pattern, text) or re.search(pattern, type(error).__name__):
            first = " ".join(text.split())[:200]
            return kind(code, f"{what.format(bucket=bucket)} ({first})", where=where, fix=fix)
    return None
