# One image, three roles: code server, web and daemon (docker-compose.yml gives the commands).
FROM python:3.11-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.8 /uv /usr/local/bin/uv
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /opt/dataflow/app
# Dependencies first: they change less often than the code.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --all-extras --no-dev --no-install-project
COPY README.md LICENSE dagster.yaml ./
COPY dataflow_platform dataflow_platform
COPY dbt_project dbt_project
# `dataflow setup` prepares dbt's state: definitions only read it.
RUN uv sync --frozen --all-extras --no-dev && .venv/bin/dataflow setup --no-example

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 dataflow && useradd --uid 10001 --gid 10001 --create-home dataflow
WORKDIR /opt/dataflow/app
COPY --from=build --chown=dataflow:dataflow /opt/dataflow/app /opt/dataflow/app
COPY --chown=dataflow:dataflow deploy/dagster.postgres.yaml /opt/dataflow/home/dagster.yaml
COPY --chown=dataflow:dataflow deploy/workspace.yaml /opt/dataflow/home/workspace.yaml
# Named volumes take over the owner of the folder they are mounted on.
RUN mkdir -p /opt/dataflow/logs /opt/dataflow/app/.dataflow \
    && chown -R dataflow:dataflow /opt/dataflow/home /opt/dataflow/logs /opt/dataflow/app/.dataflow
ENV PATH=/opt/dataflow/app/.venv/bin:$PATH \
    DAGSTER_HOME=/opt/dataflow/home \
    DATAFLOW_HOME=/opt/dataflow/app \
    PYTHONUNBUFFERED=1
USER dataflow
EXPOSE 3000 4000
CMD ["dagster", "code-server", "start", "--host", "0.0.0.0", "--port", "4000", "--module-name", "dataflow_platform.definitions", "--location-name", "dataflow_platform"]
