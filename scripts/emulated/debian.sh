# Debian packages unpacked into a folder: nothing is installed, and no root is needed. For scripts to source, which
# set `name`, what a message begins with.

emulated=${CARGO_TARGET_DIR:-$PWD/target}/emulated
root=$emulated/debian

say() { printf '%s: %s\n' "$name" "$*" >&2; }
fail() { say "$*"; exit 1; }

# apt ARGUMENT...: apt-get for this architecture and for arm64, with lists and archives of its own.
apt() {
    apt-get -qq -o APT::Architectures::=arm64 -o APT::Sandbox::User=root \
        -o Dir::State::lists="$emulated/apt/lists" -o Dir::Cache="$emulated/apt/cache" "$@"
}

# unpack PACKAGE...: puts these packages, and of what they need all that is not installed, under $root.
unpack() {
    local done=$emulated/unpacked packages
    if grep -qxF "$*" "$done" 2>/dev/null; then
        return
    fi
    command -v apt-get >/dev/null || fail "needs packages of Debian ($*), and there is no apt-get"
    say "unpacking $* into $root"
    mkdir -p "$root" "$emulated"/apt/{lists/partial,cache/archives/partial}
    apt update || fail 'apt-get could not read the lists of packages; its message is above'
    packages=$(apt install --simulate --no-install-recommends "$@" | awk '/^Inst/ { print $2 }')
    (
        fetched=$(mktemp -d "$emulated/apt/fetch-XXXXXX")
        trap 'rm -rf "$fetched"' EXIT
        cd "$fetched"
        # Those that are installed too, for they are looked for under $root. Word splitting is meant.
        # shellcheck disable=SC2086
        apt download $packages "$@" || fail 'apt-get could not download the packages; its message is above'
        for package in *.deb; do
            dpkg --extract "$package" "$root"
        done
    )
    printf '%s\n' "$*" >>"$done"
}

# wrap PROGRAM ARGUMENT...: makes $root/PROGRAM, which runs the unpacked program with the unpacked libraries.
wrap() {
    local program=$root/usr/bin/$1 script=$root/$1
    shift
    {
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q' "$root/usr/lib/x86_64-linux-gnu" "$program"
        [ "$#" -eq 0 ] || printf ' %q' "$@"
        printf ' "$@"\n'
    } >"$script"
    chmod +x "$script"
}
