# shellcheck shell=bash
# `sort_chunks` beside the sort of the system, and on input that is none. For `.ci/run`.

need_tools() {
    local tool
    for tool in seq shuf sort tr head tail grep; do
        command -v "$tool" >/dev/null || fail "$tool is missing: install coreutils and grep"
    done
    if ! command -v cmp >/dev/null; then
        command -v apt-get >/dev/null || fail "cmp is missing: install diffutils"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq diffutils
    fi
}

sort_chunks() {
    cargo run --quiet --release --example sort_chunks -- "$@"
}

# fails_with CODE TEXT COMMAND...: the command must exit with CODE, and say TEXT on standard error.
fails_with() {
    local code="$1" text="$2" got=0
    shift 2
    "$@" 2>"$tmp/stderr" || got=$?
    cat "$tmp/stderr"
    [[ "$got" == "$code" ]] || fail "exit code $got instead of $code: $*"
    grep -qF -- "$text" "$tmp/stderr" || fail "standard error does not say '$text': $*"
}

# only_holds DIRECTORY FILE...: nothing else is in there, no temporary file either.
only_holds() {
    local directory="$1" found wanted
    shift
    found="$(ls -A "$directory" | sort)"
    wanted="$(printf '%s\n' "$@" | sort)"
    [[ "$found" == "$wanted" ]] || fail "$directory holds '$found' instead of '$wanted'"
}

byte_comparison() {
    local dir="$tmp/sorted"
    need_tools
    mkdir "$dir"
    seq 1000000 | shuf >"$tmp/in"
    sort -n "$tmp/in" >"$tmp/expected"

    echo "file to file"
    sort_chunks "$tmp/in" -o "$dir/out" 2>"$tmp/stderr"
    cat "$tmp/stderr"
    cmp "$dir/out" "$tmp/expected"
    # One line, and so no progress bar, where there is no terminal.
    grep -q '^sorted 1000000 integers in 125000 chunks in ' "$tmp/stderr" || fail "no summary on standard error"
    [[ "$(grep -c '' "$tmp/stderr")" == 1 ]] || fail "more than one line on standard error"

    echo "standard input to standard output"
    sort_chunks - <"$tmp/in" >"$tmp/out"
    cmp "$tmp/out" "$tmp/expected"

    echo "onto the input itself, in chunks of 1000"
    cp "$tmp/in" "$dir/out"
    sort_chunks "$dir/out" --chunk 1000 -o "$dir/out"
    cmp "$dir/out" "$tmp/expected"

    echo "a reader that leaves early"
    sort_chunks "$tmp/in" | head -n 1 >"$tmp/out"
    [[ "$(cat "$tmp/out")" == 1 ]] || fail "the first integer is not 1"

    echo "negative numbers, blank lines, other white space"
    seq -50000 50000 | shuf >"$tmp/negative"
    sort -n "$tmp/negative" >"$tmp/expected"
    {
        printf '\n  \n'
        head -n 7 "$tmp/negative" | tr '\n' '\t'
        printf '\r\n\n'
        tail -n +8 "$tmp/negative"
    } >"$tmp/in"
    sort_chunks "$tmp/in" -o "$dir/out"
    cmp "$dir/out" "$tmp/expected"

    echo "nothing at all"
    : >"$tmp/empty"
    sort_chunks "$tmp/empty" -o "$dir/out"
    cmp "$dir/out" "$tmp/empty"
    only_holds "$dir" out
}

# Without the signal, writing beyond the limit is an error like that of a full disk.
in_four_megabytes() (
    trap '' XFSZ
    ulimit -f 4096
    "$@"
)

bad_input() {
    local dir="$tmp/failed"
    mkdir "$dir"
    printf 'old\n' >"$dir/kept"
    printf '1 2\n\n3 four 5\n' >"$tmp/bad"

    fails_with 2 'line 3: "four" ' sort_chunks "$tmp/bad" -o "$dir/out"
    fails_with 2 'line 3: "four" ' sort_chunks "$tmp/bad" -o "$dir/kept"
    fails_with 2 'line 3: "four" ' sort_chunks - -o "$dir/out" <"$tmp/bad"
    fails_with 2 '"9223372036854775808" does not fit' sort_chunks - -o "$dir/out" <<<9223372036854775808
    fails_with 2 'line 1: ' sort_chunks - -o "$dir/out" < <(printf '\xff\xfe1\n')
    fails_with 2 "cannot read $tmp/missing: " sort_chunks "$tmp/missing" -o "$dir/out"
    fails_with 2 "cannot read $dir: " sort_chunks "$dir" -o "$dir/out"
    fails_with 2 "cannot write $dir: " sort_chunks --count 10 -o "$dir"
    fails_with 2 "cannot write $dir/missing/out: " sort_chunks --count 10 -o "$dir/missing/out"
    fails_with 2 "--chunk" sort_chunks --chunk 0 -o "$dir/out"
    if [[ -c /dev/full ]]; then
        fails_with 2 "cannot write /dev/full: " sort_chunks --count 10 -o /dev/full
    fi

    # Twenty megabytes where four are allowed: fails half way through the writing.
    fails_with 2 "cannot write $dir/kept: " in_four_megabytes sort_chunks -o "$dir/kept"

    only_holds "$dir" kept
    [[ "$(cat "$dir/kept")" == old ]] || fail "a failed run touched the output file"
}
