#!/bin/sh
# Programs that some tests drive: Chromium for the map, PostgreSQL with PostGIS for the shared store, strace to see what
# a run asks the network and leaves behind, nginx and Caddy as proxies before the server; with WITH_QGIS=1 also QGIS with
# its WMS and WMTS and a screen without a monitor for the plug-in (84 s of CPU, 3 GB). Installed where we may
# (root on Debian or Ubuntu); elsewhere the tests that need them skip and say so.
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
wanted=""
command -v chromium >/dev/null || wanted="chromium"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 ||
    wanted="$wanted postgresql postgresql-postgis"
command -v strace >/dev/null || wanted="$wanted strace"
command -v nginx >/dev/null || wanted="$wanted nginx-light"
command -v caddy >/dev/null || wanted="$wanted caddy"
if [ -n "${WITH_QGIS:-}" ]; then
    command -v qgis >/dev/null && /usr/bin/python3 -c "import qgis.core" 2>/dev/null || wanted="$wanted qgis python3-qgis"
    ls /usr/lib/qgis/server/libwmts.so >/dev/null 2>&1 || wanted="$wanted qgis-server-wms qgis-server-wmts"
    command -v xvfb-run >/dev/null || wanted="$wanted xvfb xauth"
    command -v xdotool >/dev/null || wanted="$wanted xdotool"
fi
[ -z "$wanted" ] && exit 0
echo "installing $wanted for the tests"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # while it says 101, no service that comes with a package is started
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get -qq update >/dev/null 2>&1
for one in $wanted; do
    apt-get -qq install -y --no-install-recommends "$one" >/dev/null 2>&1 ||
        echo "could not install $one; the tests that need it skip"
done
exit 0
