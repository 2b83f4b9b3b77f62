#!/usr/bin/env bash
# Runs a command with a throw-away PostgreSQL: starts a server on a free port of the loopback
# address, in a temporary folder, as a user other than root; exports CORDON_TEST_POSTGRES; runs the
# command given as arguments; stops the server and removes the folder. Without a command it prints
# the URL and waits to be interrupted. Installs PostgreSQL by apt-get where it is missing.
#
#   tests/postgres.sh cargo test -p cordon-admin store ledger
set -euo pipefail

find_programs() {
    local folder
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin; do
        if [ -x "$folder/initdb" ]; then
            echo "$folder"
            return
        fi
    done
    if command -v initdb >/dev/null; then
        dirname "$(command -v initdb)"
    fi
}

programs=$(find_programs)
if [ -z "$programs" ]; then
    echo "PostgreSQL is missing; installing it" >&2
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq postgresql >&2
    programs=$(find_programs)
    if [ -z "$programs" ]; then
        echo "PostgreSQL could not be installed: install it by hand, so that initdb can be found" >&2
        exit 1
    fi
fi

# PostgreSQL refuses to run as root.
as=()
if [ "$(id -u)" = 0 ]; then
    for user in postgres nobody; do
        if id "$user" >/dev/null 2>&1; then
            as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
            owner=$user
            break
        fi
    done
    if [ "${#as[@]}" = 0 ]; then
        echo "there is no user besides root to run PostgreSQL as: add one called postgres" >&2
        exit 1
    fi
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/cordon-postgres.XXXXXX")
chmod 0755 "$folder"
[ "${#as[@]}" = 0 ] || chown "$owner" "$folder"

stop() {
    # Only what was started here: by its process id, from its own folder.
    if [ -f "$folder/data/postmaster.pid" ]; then
        "${as[@]}" "$programs/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$folder"
"${as[@]}" "$programs/initdb" -D "$folder/data" -U cordon --auth=trust --encoding=UTF8 --no-sync >"$folder/initdb.log" 2>&1 || {
    cat "$folder/initdb.log" >&2
    exit 1
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null ||
        echo $((20000 + RANDOM % 20000))
}

# Somebody else may take a free port before the server does: try again with another.
port=
for _ in 1 2 3 4 5; do
    port=$(free_port)
    if "${as[@]}" "$programs/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/server.log" \
        -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300" start >/dev/null; then
        break
    fi
    port=
done
if [ -z "$port" ]; then
    cat "$folder/server.log" >&2
    echo "PostgreSQL did not start" >&2
    exit 1
fi
cd "$OLDPWD"

export CORDON_TEST_POSTGRES="postgres://cordon@127.0.0.1:$port/postgres"
echo "CORDON_TEST_POSTGRES=$CORDON_TEST_POSTGRES" >&2
if [ "$#" = 0 ]; then
    echo "$CORDON_TEST_POSTGRES"
    while :; do sleep 3600 & wait $!; done
fi
# Not by exec: the server is stopped when the command has ended.
"$@"
