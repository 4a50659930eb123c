# What .ci/run and .ci/nightly share; sourced by bash.
set -euo pipefail

# Run make, and say how long it took.
make() {
    local began=$SECONDS status=0
    command make "$@" || status=$?
    echo "== make $1: $((SECONDS - began)) s" >&2
    return "$status"
}

# Install the packages of bindep.txt that are missing.
install_system_packages() {
    local profiles=test package missing=()
    command -v npm >/dev/null || profiles="test|npm"
    for package in $(sed -nE "s/ \[platform:dpkg ($profiles)\]$//p" bindep.txt); do
        [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ "${#missing[@]}" = 0 ] && return
    echo "Installing ${missing[*]} ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
}
