#!/bin/sh
# Run once by the postgres image on an empty volume: a role and a database of their own for the warehouse.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set=role="$WAREHOUSE_USER" --set=secret="$WAREHOUSE_PASSWORD" --set=database="$WAREHOUSE_DATABASE" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'secret';
CREATE DATABASE :"database" OWNER :"role";
REVOKE CONNECT ON DATABASE :"database" FROM PUBLIC;
SQL
