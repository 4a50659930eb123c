#!/bin/sh
# Create a virtual environment, or print one command that installs what is missing:
#   venv.sh FOLDER [PYTHON]
# Without PYTHON it uses the first Python that is recent enough and has `venv`.
# A failure leaves no folder behind, so that the next run starts from scratch.
set -eu
folder=$1 python=${2:-}
PATH=$PATH:${HOME:-}/.local/bin # where uv links the Pythons that it installs

# Print "ok", "old" or "no-venv", or nothing if $1 does not run; pyenv's shims print advice instead.
state() {
    status=0
    "$1" -c 'if True:
        import sys
        if sys.version_info < (3, 11):
            sys.exit(3)
        try:
            import ensurepip, venv
        except ImportError:
            sys.exit(4)' </dev/null >/dev/null 2>&1 || status=$?
    case $status in 0) echo ok ;; 3) echo old ;; 4) echo no-venv ;; esac
}

version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' </dev/null 2>/dev/null | tail -n 1
}

# refuse REASON PACKAGE: PACKAGE is Debian's
refuse() {
    sudo=$([ "$(id -u)" = 0 ] || echo "sudo ")
    if command -v apt-get >/dev/null && [ -n "$2" ]; then
        line="${sudo}apt-get update && ${sudo}apt-get install --yes $2"
    elif command -v dnf >/dev/null; then
        line="${sudo}dnf install --assumeyes python3.12"
    elif command -v brew >/dev/null; then
        line="brew install python@3.13"
    else
        line="curl -LsSf https://astral.sh/uv/install.sh | sh && ~/.local/bin/uv python install 3.13"
    fi
    printf '%s.\nInstall what is missing, then run make again:\n\n    %s\n\n' "$1" "$line" >&2
    exit 1
}

set -- python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3
[ -z "$python" ] || set -- "$python"
old='' bare=''
for python; do
    case $(state "$python") in
    ok) break ;;
    old) old=${old:-$python} ;;
    no-venv) bare=${bare:-$python} ;;
    esac
    python=
done

if [ -z "$python" ] && [ -n "$bare" ]; then
    case $bare in *python3*) package=${bare##*/}-venv ;; *) package=python3-venv ;; esac
    refuse "$bare cannot create virtual environments: it has no ensurepip" "$package"
elif [ -z "$python" ] && [ -n "$old" ]; then
    package=$(apt-cache show python3.11-venv >/dev/null 2>&1 && echo python3.11-venv) || true
    refuse "Python 3.11 or later is required, and $old is $(version "$old")" "$package"
elif [ -z "$python" ]; then
    refuse "Python 3.11 or later is required, and $1 does not run" python3-venv
fi

if [ -e "$folder" ] && [ ! -e "$folder/pyvenv.cfg" ]; then
    echo "$folder exists and is not a virtual environment: move it away" >&2
    exit 1
fi
echo "Creating $folder with Python $(version "$python") ..."
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
"$python" -m venv --clear "$folder"
trap - EXIT
