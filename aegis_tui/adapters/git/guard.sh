#!/bin/sh
# The guard of one instance's worktree (GIT-6, PART-3): aegis-guard HOOK ARGUMENTS...
# Each hook beside this file calls it. It reads `rules` and `chain` in its own folder; what it cannot read, it refuses.

here=${0%/*}
hook=$1
shift

refuse() {
    printf 'aegis-tui: refused: %s\n' "$1" >&2
    exit 1
}

load() {
    [ -r "$here/rules" ] && [ "$(tail -n 1 "$here/rules")" = end ] || refuse "the rules of this worktree cannot be read"
    own=$(sed -n 's/^own	//p' "$here/rules")
    integration=$(sed -n 's/^integration	//p' "$here/rules")
    [ -n "$own" ] || refuse "the rules of this worktree name no branch"
}

# Reads paths, each ended by NUL; /and starts a second list, of which only what is in both counts; /end must come last.
judge() {
    LC_ALL=C tr '\n\000' '\001\n' | AEGIS_RULES="$here/rules" LC_ALL=C awk '
        function show(path) { gsub(/[\001-\037\177]/, "?", path); return path }
        function first(wanted, path,   i) {
            for (i = 1; i <= n; i++) if (kind[i] == wanted && path ~ ere[i]) return i
            return 0
        }
        function verdict(path,   i) {
            if (i = first("deny", path)) return show(path) " is not yours to edit (" glob[i] ")"
            if (first("allow", path)) return ""
            if (i = first("shared", path)) return show(path) " is shared and read-only (" glob[i] ")"
            if (i = first("owner", path))
                return show(path) " belongs to " owner[i] " (" glob[i] "); ask for it with a scope request"
            return show(path) " is not in your partition; ask for it with a scope request"
        }
        BEGIN {
            file = ENVIRON["AEGIS_RULES"]
            while ((getline line < file) > 0) {
                if (line == "end") { whole = 1; break }
                if (split(line, field, "\t") < 4) continue
                n++
                kind[n] = field[1]; owner[n] = field[2]; glob[n] = field[3]; ere[n] = field[4]
            }
        }
        $0 == "/end" { ended = 1; next }
        $0 == "/and" { both = 1; for (path in paths) { before[path] = 1; delete paths[path] } next }
        { paths[$0] = 1 }
        END {
            if (!whole || !ended) { print "aegis-tui: refused: the change cannot be read"; exit 1 }
            for (path in paths) {
                if (both && !(path in before)) continue
                why = verdict(path)
                if (why == "") continue
                if (++bad <= 20) print "aegis-tui: refused: " why
            }
            if (bad > 20) print "aegis-tui: and " bad - 20 " more paths"
            exit bad > 0
        }' >&2
}

staged() {
    git diff-index --cached --name-only -z --no-renames "$1" --
}

# What a merge takes over from the other side is not a change of this instance.
check_index() {
    head=$(git rev-parse -q --verify HEAD) || refuse "this worktree has no commit"
    theirs=$(git rev-parse -q --verify MERGE_HEAD)
    {
        staged "$head" && { [ -z "$theirs" ] || { printf '/and\0' && staged "$theirs"; }; } && printf '/end\0'
    } | judge
}

# Checks every commit that the new tip brings and that is not on the working ref. Runs although --no-verify is given.
check_commits() {
    set -- "$1" --not "$own"
    git rev-parse -q --verify "$integration^{commit}" >/dev/null && set -- "$@" "$integration"
    commits=$(git rev-list "$@") || refuse "the commits cannot be read"
    [ -n "$commits" ] || return 0
    {
        printf '%s\n' "$commits" |
            git diff-tree --stdin --root -r -c -z --name-only --no-commit-id --no-renames && printf '/end\0'
    } | judge
}

check_ref() {
    case $2 in
    HEAD)
        case $1 in
        "ref:$own") ;;
        ref:*) refuse "this worktree stays on ${own#refs/heads/}, not ${1#ref:}" ;;
        esac
        ;;
    "$own")
        case $1 in
        *[!0]*) check_commits "$1" || exit 1 ;;
        *) refuse "${own#refs/heads/} must not be deleted" ;;
        esac
        ;;
    refs/stash) refuse "the stash is the person's; commit on ${own#refs/heads/} instead" ;;
    refs/bisect/* | refs/rewritten/* | refs/worktree/*) ;;
    *[!A-Z_]*) refuse "$2 is not yours; only ${own#refs/heads/} is" ;;
    esac
}

check_refs() {
    while read -r _ new ref; do
        [ -z "$ref" ] || check_ref "$new" "$ref"
    done
}

# Where the git folder is read-only, git cannot take the lock under which it forgets a finished cherry-pick, and would
# speak of it for ever after a rebase.
tidy() {
    folder=$(git rev-parse --git-dir) || return 0
    if [ "$hook $1" = "post-rewrite rebase" ] || { [ ! -d "$folder/rebase-merge" ] && [ ! -d "$folder/sequencer" ]; }
    then
        rm -f "$folder/CHERRY_PICK_HEAD" "$folder/REVERT_HEAD"
    fi
}

# Hand over to the person's own hook of that name, which core.hooksPath would otherwise hide.
follow() {
    chain=$(cat "$here/chain") || refuse "the rules of this worktree cannot be read"
    case $chain in
    '') exit 0 ;;
    /*) ;;
    *) chain=$PWD/$chain ;;
    esac
    [ -f "$chain/$hook" ] && [ -x "$chain/$hook" ] || exit 0
    exec "$chain/$hook" "$@"
}

case $hook in
pre-push)
    refuse "agents may not push; a person does, when the run is done"
    ;;
pre-commit)
    load
    check_index || exit 1
    follow "$@"
    ;;
reference-transaction)
    changes=$(cat)
    if [ "$1" = prepared ]; then
        load
        check_refs <<END || exit 1
$changes
END
    fi
    printf '%s\n' "$changes" | (follow "$@")
    ;;
post-commit | post-rewrite)
    tidy "${1-}"
    follow "$@"
    ;;
*)
    follow "$@"
    ;;
esac
