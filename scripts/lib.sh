# Shared by the scripts here; works with bash 3.2 (macOS). The caller has set ROOT to the repository's root.

GIT_WANTED=2.38
TMUX_WANTED=3.2
VENV=${AEGIS_VENV:-$ROOT/.venv}

# Code 5: a part is unavailable. Code 1: something failed.
EX_UNAVAILABLE=5

talk() { printf '%s\n' "$*" >&2; }

# settle_environment: what every later step may rely on, also when it is started with an empty environment.
settle_environment() {
  PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  if [ "$(uname -s)" = Darwin ]; then PATH=$PATH:/opt/homebrew/bin; fi
  if [ -z "${HOME:-}" ] || [ ! -d "$HOME" ]; then
    unset HOME
    HOME=~ # without the variable, bash asks the password database
  fi
  case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
    *[Uu][Tt][Ff]*) ;;
    *) if [ "$(uname -s)" = Darwin ]; then LC_ALL=en_US.UTF-8; else LC_ALL=C.UTF-8; fi; export LC_ALL ;;
  esac
  export PATH HOME
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
  # With its bytecode kept, each of the many processes of a run starts a quarter sooner
  unset PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PIP_USER PIP_TARGET PIP_PREFIX
}

# version_at_least HAVE WANTED: compares the first two numbers of each.
version_at_least() {
  local have want
  have=$(printf '%s' "$1" | sed -n 's/^[^0-9]*\([0-9][0-9]*\)\.\([0-9][0-9]*\).*$/\1 \2/p')
  want=$(printf '%s' "$2" | sed -n 's/^\([0-9][0-9]*\)\.\([0-9][0-9]*\).*$/\1 \2/p')
  [ -n "$have" ] || return 1
  # shellcheck disable=SC2086 # two words each, on purpose
  set -- $have $want
  [ "$1" -gt "$3" ] || { [ "$1" -eq "$3" ] && [ "$2" -ge "$4" ]; }
}

python_suits() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# find_python: prints an interpreter that can make virtual environments; the person's own python3 first.
find_python() {
  local name
  for name in ${AEGIS_PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if python_suits "$name"; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

# missing_parts: prints the parts that are absent or too old, one a line.
missing_parts() {
  version_at_least "$(git --version 2>/dev/null)" "$GIT_WANTED" || echo git
  version_at_least "$(tmux -V 2>/dev/null)" "$TMUX_WANTED" || echo tmux
  if [ "$(uname -s)" = Linux ] && ! bwrap --version >/dev/null 2>&1; then echo bubblewrap; fi
  find_python >/dev/null || echo python
}

# newest_apt_python: the packages of the newest usable Python that this distribution has.
newest_apt_python() {
  local minor
  for minor in 14 13 12 11; do
    if apt-cache show "python3.$minor-venv" >/dev/null 2>&1; then
      echo "python3.$minor python3.$minor-venv"
      return
    fi
  done
  echo python3 python3-venv
}

# packages_of MANAGER: reads parts on stdin, prints the packages that bring them, in one line.
packages_of() {
  local part names=
  while read -r part; do
    case $1:$part in
      apt:python) names="$names $(newest_apt_python)" ;;
      brew:python) names="$names python@3.13" ;;
      *) names="$names $part" ;;
    esac
  done
  echo "${names# }"
}

# prefix_for_root: prints how this account becomes root without being asked, or fails.
prefix_for_root() {
  if [ "$(id -u)" -eq 0 ]; then return 0; fi
  sudo -n true >/dev/null 2>&1 && echo 'sudo '
}

# refuse COMMAND REASON: names what a person has to run, and ends with code 5.
refuse() {
  talk "$2"
  talk "run this, then start again:"
  talk "  $1"
  exit "$EX_UNAVAILABLE"
}

# run_quietly COMMAND...: shows the last lines of its output only when it fails.
run_quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then tail -n 12 "$log" >&2; fi
  rm -f "$log"
  return "$status"
}

# apt_command PARTS: the line that a person can run.
apt_command() {
  local line
  line="apt-get update && apt-get install -y --no-install-recommends $(printf '%s\n' "$1" | packages_of apt)"
  if [ "$(id -u)" -eq 0 ]; then echo "$line"; else echo "sudo sh -c '$line'"; fi
}

install_with_apt() {
  local parts=$1 prefix
  if ! prefix=$(prefix_for_root); then
    refuse "$(apt_command "$parts")" "missing: $(echo $parts); this account may not install packages"
  fi
  talk "installing: $(echo $parts)"
  # shellcheck disable=SC2046,SC2086 # the prefix and the packages are words, on purpose
  {
    run_quietly ${prefix}apt-get -q update ||
      refuse "$(apt_command "$parts")" "missing: $(echo $parts); apt-get update failed"
    run_quietly ${prefix}env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 install -y \
      --no-install-recommends $(printf '%s\n' "$parts" | packages_of apt) ||
      refuse "$(apt_command "$parts")" "missing: $(echo $parts); apt-get install failed"
  }
}

install_with_brew() {
  local packages
  packages=$(printf '%s\n' "$1" | packages_of brew)
  command -v brew >/dev/null 2>&1 ||
    refuse "brew install $packages" "missing: $(echo $1); Homebrew (https://brew.sh) is not installed either"
  talk "installing $packages"
  # shellcheck disable=SC2086 # packages are words, on purpose
  HOMEBREW_NO_AUTO_UPDATE=1 run_quietly brew install --quiet $packages ||
    refuse "brew install $packages" "missing: $(echo $1); brew install failed"
}

# ensure_system: git, tmux, bubblewrap (Linux) and Python are there afterwards, or the script has ended with code 5.
ensure_system() {
  local parts
  parts=$(missing_parts)
  [ -n "$parts" ] || return 0
  if [ "$(uname -s)" = Darwin ]; then
    install_with_brew "$parts"
  elif command -v apt-get >/dev/null 2>&1; then
    install_with_apt "$parts"
  else
    talk "missing: $(echo $parts)"
    talk "install git >= $GIT_WANTED, tmux >= $TMUX_WANTED, bubblewrap and python >= 3.11 with venv, then start again"
    exit "$EX_UNAVAILABLE"
  fi
  hash -r
  parts=$(missing_parts)
  if [ -n "$parts" ]; then
    talk "still missing or too old after the installation: $(echo $parts)"
    talk "wanted: git >= $GIT_WANTED, tmux >= $TMUX_WANTED, bubblewrap, python >= 3.11 with venv"
    exit "$EX_UNAVAILABLE"
  fi
}

# stamp_of LOCK: changes when what the environment is made of changes.
stamp_of() {
  cat "$1" "$ROOT/pyproject.toml" | cksum
  "$VENV/bin/python" -c 'import sys; print(sys.version, sys.prefix)'
  echo "$ROOT"
}

# purge LOCK: removes what the development lock does not name; an environment only to run in may hold more.
purge() {
  [ "${1##*/}" != dev.txt ] || "$VENV/bin/python" "$ROOT/scripts/strays.py" "$1"
}

# ensure_venv LOCK: the environment holds what the lock says, and this package in editable form.
ensure_venv() {
  local lock=$1 python
  if ! python_suits "$VENV/bin/python"; then
    python=$(find_python)
    run_quietly "$python" -m venv --clear "$VENV" || { talk "failed: making $VENV with $python"; exit 1; }
  fi
  if [ "$(cat "$VENV/aegis-stamp" 2>/dev/null)" = "$(stamp_of "$lock")" ]; then return 0; fi
  talk "installing the packages of ${lock#"$ROOT"/}"
  rm -f "$VENV/aegis-stamp"
  if ! run_quietly "$VENV/bin/python" -m pip install -q --require-hashes -r "$lock" ||
    ! run_quietly purge "$lock" ||
    ! run_quietly "$VENV/bin/python" -m pip install -q --no-deps --no-build-isolation -e "$ROOT"; then
    talk "failed: installing the locked packages into $VENV"
    exit 1
  fi
  stamp_of "$lock" >"$VENV/aegis-stamp"
}
