# shellcheck shell=bash
# What tests/run and deploy/demo share: Debian packages and the virtual environment.
# Meant to be sourced; all functions do nothing when there is nothing to do.

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root or sudo: $*" >&2
        return 1
    fi
}

# ensure_packages PACKAGE...: install what is missing, without starting any service.
ensure_packages() {
    local missing=() package
    for package in "$@"; do
        if ! dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null |
            grep -q 'ok installed$'; then
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "Please install: ${missing[*]} (this script knows Debian and Ubuntu only)" >&2
        return 1
    fi
    echo "Installing ${missing[*]}"
    (
        # A policy that says 101 keeps a package's services from being started.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap 'as_root rm -f $policy' EXIT
            printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
            as_root chmod 755 $policy
        fi
        quiet_apt update
        quiet_apt install --yes --no-install-recommends "${missing[@]}"
    )
}

# ensure_cyrus DIRECTORY: unpack Debian's Cyrus IMAP there. It can not be installed on a machine
# that has Dovecot, as both are the imap-server; only the libraries that it needs are installed.
ensure_cyrus() {
    local directory=$1 download
    if [ ! -e "$directory/libraries" ]; then
        echo "Unpacking Cyrus IMAP into $directory"
        mkdir -p "$directory"
        download=$(mktemp -d "$directory/download.XXXXXX")
        quiet_apt update
        (
            trap 'rm -rf "$download"' EXIT
            cd "$download"
            quiet_apt download cyrus-common cyrus-imapd
            for package in *.deb; do
                dpkg-deb --extract "$package" "$directory"
                dpkg-deb --field "$package" Depends
            done >"$download/depends"
            # Without what only other programs of these packages are linked with.
            tr ',' '\n' <depends | sed 's/[|(].*//; s/ //g' |
                grep '^z*lib' | grep -v -e clamav -e zephyr | sort -u >libraries
            mv libraries "$directory/libraries"
        )
    fi
    # shellcheck disable=SC2046  # a word for each package
    ensure_packages $(cat "$directory/libraries")
}

# quiet_apt ARGUMENT...: apt-get that speaks only when it fails.
quiet_apt() {
    local output
    output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq \
        -o DPkg::Lock::Timeout=120 "$@" </dev/null 2>&1) || {
        echo "$output" >&2
        return 1
    }
}

# ensure_venv LOCK...: make .venv in the current folder hold what the lock files name, and the
# gateway itself from this tree. Done again only when one of the files has changed.
ensure_venv() {
    local stamp=.venv/installed wanted
    wanted=$(cat "$@" pyproject.toml | sha256sum)
    if [ "$(cat $stamp 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Python 3.11 or later is needed, this is $(python3 --version)" >&2
        return 1
    }
    echo "Installing Python packages into .venv"
    .venv/bin/python -c '' 2>/dev/null || python3 -m venv --clear .venv
    local pip=(.venv/bin/python -m pip --quiet --disable-pip-version-check)
    "${pip[@]}" install --require-hashes "${@/#/--requirement=}"
    "${pip[@]}" install --no-deps --no-build-isolation --editable .
    echo "$wanted" >$stamp
}

# ensure_node_packages SOURCE DIRECTORY: install what SOURCE/package-lock.json names there.
ensure_node_packages() {
    local source=$1 directory=$2
    if cmp --silent "$source/package-lock.json" "$directory/installed.json"; then
        return 0
    fi
    command -v npm >/dev/null || ensure_packages nodejs npm
    echo "Installing $(basename "$source") into $directory"
    mkdir -p "$directory"
    cp "$source/package.json" "$source/package-lock.json" "$directory"
    npm ci --prefix "$directory" --ignore-scripts --no-audit --no-fund --silent
    cp "$source/package-lock.json" "$directory/installed.json"
}
