#!/bin/sh
# The stand-in's answer to the entry point of the official image, as far as docker-compose.yml uses it: the first start
# creates the database cluster with a superuser POSTGRES_USER and its password, during which a temporary server answers
# on the socket only; then the server runs as user postgres and asks for the password over TCP.
set -eu
: "${POSTGRES_USER:=postgres}" "${POSTGRES_PASSWORD:?}" "${PGDATA:?}"

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  chown -R postgres:postgres "$PGDATA" /run/postgresql
  chmod 700 "$PGDATA"
  exec su -s /bin/sh postgres "$0"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  echo "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  database=${POSTGRES_DB:-$POSTGRES_USER}
  [ "$database" = postgres ] || psql --username="$POSTGRES_USER" --dbname=postgres -c "CREATE DATABASE \"$database\""
  pg_ctl --wait --mode=fast stop
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/run/postgresql
