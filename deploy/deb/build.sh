#!/bin/sh
# Builds menshen_VERSION_ARCH.deb out of the release program, which it has made where there is none; needs dpkg-deb and nothing else of Debian's tools.
# usage: sh deploy/deb/build.sh [PROGRAM [FOLDER]]
set -eu
cd "$(dirname "$0")/../.."
program=${1:-target/release/menshen} folder=${2:-target}
[ -x "$program" ] || cargo build --release --locked --bin menshen
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
arch=$(dpkg --print-architecture)
name="menshen_${version}_${arch}"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
install -D -m 0755 "$program" "$root/usr/bin/menshen"
for unit in systemd/*; do
    sed 's,/usr/local/bin/menshen,/usr/bin/menshen,g' "$unit" > "$root/unit"
    install -D -m 0644 "$root/unit" "$root/usr/lib/systemd/system/$(basename "$unit")"
    rm "$root/unit"
done
# Where they stand here, so that links from one to another lead somewhere.
for text in README.md ARCHITECTURE.md SECURITY.md CHANGELOG.md LICENSE certs/README.md; do
    install -D -m 0644 "$text" "$root/usr/share/doc/menshen/$text"
done
mkdir -p "$root/usr/share/doc/menshen" "$root/usr/share/menshen"
cp -r docs "$root/usr/share/doc/menshen/docs"
cp -r policies "$root/usr/share/menshen/policies"
ln -s ../../menshen/policies "$root/usr/share/doc/menshen/policies"
install -D -m 0644 docs/guide/menshen.yaml "$root/usr/share/menshen/menshen.yaml"
cp -r deploy/prometheus deploy/grafana "$root/usr/share/menshen/"
find "$root/usr" -type d -exec chmod 0755 {} + && find "$root/usr/share" -type f -exec chmod 0644 {} +
mkdir -p "$root/DEBIAN"
cat > "$root/DEBIAN/control" <<CONTROL
Package: menshen
Version: $version
Architecture: $arch
Maintainer: the menshen authors
Section: net
Priority: optional
Depends: libc6 (>= 2.34), libgcc-s1, passwd
Suggests: prometheus, redis-server
Description: access gateway that decides field by field who may see customer data
 A reverse proxy that ends TLS in front of the backends that hold customers' data:
 roles down to single fields, second factors, limits counted in people, and a
 record of every access that is durable before the answer leaves.
CONTROL
install -m 0755 deploy/deb/postinst deploy/deb/prerm deploy/deb/postrm "$root/DEBIAN/"
mkdir -p "$folder"
dpkg-deb --root-owner-group -Zgzip --build "$root" "$folder/$name.deb" >/dev/null
echo "$folder/$name.deb"
