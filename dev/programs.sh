#!/bin/sh
# Programs that some tests drive: Chromium for the map, PostgreSQL with PostGIS for the shared store, strace to see what
# a run asks the network and leaves behind. Installed where we may
# (root on Debian or Ubuntu); elsewhere the tests that need them skip and say so.
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
wanted=""
command -v chromium >/dev/null || wanted="chromium"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 ||
    wanted="$wanted postgresql postgresql-postgis"
command -v strace >/dev/null || wanted="$wanted strace"
[ -z "$wanted" ] && exit 0
echo "installing$([ -n "$wanted" ] && echo " $wanted") for the tests"
export DEBIAN_FRONTEND=noninteractive
{ apt-get -qq update && apt-get -qq install -y --no-install-recommends $wanted; } >/dev/null 2>&1 ||
    echo "could not install $wanted; the tests that need them skip"
exit 0
