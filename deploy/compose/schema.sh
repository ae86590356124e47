#!/bin/sh
# Creates the two databases of Temporal, or brings the schema of existing ones to the version of this image.
# temporal-sql-tool takes the server, the user and the password from SQL_*.
set -eu

bring() { # database, folder of its versions
  temporal-sql-tool --db "$1" create
  temporal-sql-tool --db "$1" setup-schema -v 0.0 # does nothing to a database that has a version
  temporal-sql-tool --db "$1" update-schema -d "/etc/temporal/schema/postgresql/v12/$2/versioned"
}

bring temporal temporal
bring temporal_visibility visibility
