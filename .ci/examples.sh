# shellcheck shell=bash
# How each example is run, and what it has to show. For `.ci/run`, which has `fail`, `$tmp` and the rest.

example() {
    local name="$1"
    shift
    cargo run --quiet --release --all-features --example "$name" -- "$@"
}

# Lines and bytes: what is a word depends on the locale.
counts_as_wc() {
    example from_threads --echoes 5000 src tests README.md |
        sed -E 's/^ *([0-9]+) +[0-9]+ +/\1 /' | LC_ALL=C sort >"$tmp/counts"
    find src tests README.md -type f -exec wc -lc {} + |
        sed -E 's/^ *([0-9]+) +/\1 /' | LC_ALL=C sort >"$tmp/expected"
    diff "$tmp/expected" "$tmp/counts" || fail "from_threads does not count as wc does"
    grep ' total$' "$tmp/counts"
    fails_with 2 "cannot read missing: " example from_threads README.md missing
}

# wait_for TEXT COMMAND...: until the command says TEXT.
wait_for() {
    local text="$1" deadline=$((SECONDS + 60))
    shift
    until [[ "$("$@")" == "$text" ]]; do
        ((SECONDS < deadline)) || fail "after a minute, this does not say '$text': $*"
        sleep 0.02
    done
}

# A file that grows, shrinks and vanishes. The program itself gets the signal: cargo would not pass it on.
follows_as_tail() {
    local program="${CARGO_TARGET_DIR:-target}/release/examples/callback_api" file="$tmp/growing" out="$tmp/followed" pid code=0
    seq 1 30000 >"$file"
    "$program" "$file" >"$out" 2>"$tmp/stderr" &
    pid=$!
    wait_for 30000 tail -n 1 "$out"
    seq 30001 60000 >>"$file"
    wait_for 60000 tail -n 1 "$out"
    seq 1 60000 | cmp - "$out" || fail "callback_api does not print what the file holds"
    seq 1 10 >"$file"
    wait_for 10 tail -n 1 "$out"
    kill -INT "$pid"
    wait "$pid" || fail "callback_api ends with exit code $? at Ctrl-C"
    cat "$tmp/stderr"
    grep -q '^interrupted after ' "$tmp/stderr" || fail "callback_api does not say that it was interrupted"

    "$program" --every 10 "$file" >"$out.gone" 2>"$tmp/stderr" &
    pid=$!
    wait_for 10 tail -n 1 "$out.gone"
    rm "$file"
    wait "$pid" || code=$?
    cat "$tmp/stderr"
    [[ "$code" == 2 ]] || fail "callback_api ends with exit code $code when the file is gone"
    fails_with 2 "cannot read $file: " "$program" "$file"
    fails_with 2 "cannot read $tmp: " "$program" "$tmp"
}

# The program that an example translates, out of the comment where it stands.
original() {
    sed '1,/^\/\*/d; /^\*\//,$d' "examples/$1.rs"
}

# translates NAME FOUND COMMAND...: the example, and its original as run by the command, say the same of the same files. What the command
# needs may not be there, or not to be had.
translates() {
    local name="$1" found="$2" args wanted got
    shift 2
    seq 30000 >"$tmp/lines"
    for args in "$tmp/lines" "CHANGELOG.md README.md" "README.md missing"; do
        wanted=0 got=0
        # shellcheck disable=SC2086
        example "$name" $args >"$tmp/translated" || got=$?
        cat "$tmp/translated"
        [[ "$args" != *missing || "$got" != 0 ]] || fail "$name does not tell of a missing file by its exit code"
        [[ "$found" == yes ]] || continue
        # shellcheck disable=SC2086
        "$@" $args >"$tmp/original" || wanted=$?
        diff "$tmp/original" "$tmp/translated" || fail "$name and its original say different things"
        [[ "$got" == "$wanted" ]] || fail "exit code $got instead of $wanted: $name $args"
    done
    [[ "$found" == yes ]] || echo "not compared with the original, which needs what is not to be had here"
}

from_jquery() {
    local found=no
    if command -v node >/dev/null && command -v npm >/dev/null && timeout 60 npm install --silent --prefix "$tmp/jquery" jquery; then
        found=yes
        original from_jquery >"$tmp/jquery/original.mjs"
    fi
    translates from_jquery "$found" node "$tmp/jquery/original.mjs"
}

from_asyncio() {
    local found=no
    command -v python3 >/dev/null && found=yes
    original from_asyncio >"$tmp/original.py"
    translates from_asyncio "$found" python3 "$tmp/original.py"
}

from_twisted() {
    local found=no
    if command -v python3 >/dev/null && { python3 -c "import twisted" 2>/dev/null ||
        timeout 60 python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$tmp/twisted" twisted; }; then
        found=yes
        original from_twisted >"$tmp/original.py"
    fi
    translates from_twisted "$found" env PYTHONPATH="$tmp/twisted" python3 "$tmp/original.py"
}

# Files in groups: three pairs, and what the sources happen to repeat.
finds_same_files() {
    local dir="$tmp/same"
    mkdir -p "$dir/a/b"
    seq 100000 | tee "$dir/one" >"$dir/a/one"
    seq 99999 | tee "$dir/other" >"$dir/a/b/other"
    : >"$dir/empty"
    : >"$dir/a/empty"
    example siblings "$dir" src tests --block 300 >"$tmp/groups" 2>"$tmp/stderr"
    cat "$tmp/groups" "$tmp/stderr"
    find "$dir" src tests -type f -exec md5sum {} + | LC_ALL=C sort | uniq -w 32 -D | cut -c 35- | LC_ALL=C sort >"$tmp/expected"
    grep . "$tmp/groups" | LC_ALL=C sort | diff "$tmp/expected" - || fail "siblings finds other files than md5sum"
    grep -q ' at most 4 were open ' "$tmp/stderr" || fail "siblings did not have 4 files open at most"
    grep -qE '^the loop stood still for ([2-9][0-9]{2}|[0-9]{4,})\.' "$tmp/stderr" || fail "siblings did not see the loop stand still"
    fails_with 2 "cannot read missing: " example siblings README.md missing
}

counts_words() {
    example on_tokio README.md src tests --top 1000 >"$tmp/words"
    head -n 5 "$tmp/words"
    find README.md src tests -type f -exec cat {} + | tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | grep . | LC_ALL=C sort | uniq -c |
        LC_ALL=C sort -k 1,1nr -k 2 | sed -n '1,1000p' >"$tmp/expected"
    diff -w "$tmp/expected" "$tmp/words" || fail "on_tokio does not count as uniq does"
    fails_with 2 "cannot read missing: " example on_tokio README.md missing
}

draws_everywhere() {
    local where
    for where in rayon threads loop; do
        example cpu_bound "$tmp/$where.pgm" --size 500 --on "$where"
        cmp "$tmp/rayon.pgm" "$tmp/$where.pgm"
    done
    [[ "$(wc -c <"$tmp/rayon.pgm")" == 250015 ]] || fail "the picture has another size"
    for where in rayon threads; do
        fails_with 1 "was not done within 10ms" example cpu_bound "$tmp/late.pgm" --size 10000 --on "$where" --limit 10
    done
    [[ ! -e "$tmp/late.pgm" ]] || fail "a picture that is not done was written"
    fails_with 2 "cannot write $tmp/missing/a.pgm: " example cpu_bound "$tmp/missing/a.pgm" --size 10
}

need_http_clients() {
    if ! command -v curl || ! command -v wrk; then
        command -v apt-get >/dev/null || fail "curl or wrk is missing: install them"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq curl wrk
    fi
}

# Serves $tmp/site, and sets `server` to the process and `url` to the address. With a thousand connections it has as many descriptors.
start_server() {
    local tries
    mkdir -p "$tmp/site/sub"
    printf 'hello\n' >"$tmp/site/hello.txt"
    printf 'outside\n' >"$tmp/secret.txt"
    ln -sfn ../secret.txt "$tmp/site/link.txt"
    head -c 5000000 /dev/urandom >"$tmp/site/long.bin"
    ulimit -Sn "$(ulimit -Hn)"
    : >"$tmp/served"
    "${CARGO_TARGET_DIR:-target}/release/examples/http_server" "$tmp/site" --listen 127.0.0.1:0 >"$tmp/served" 2>"$tmp/errors" &
    server=$!
    for tries in {1..100}; do
        url="$(sed -n 's|^serving .* at \(http://.*\)/$|\1|p' "$tmp/served")"
        [[ -n "$url" ]] && return
        sleep 0.1
    done
    fail "http_server does not start: $(cat "$tmp/served" "$tmp/errors")"
}

# By the signal of Ctrl-C, which ends it in order.
stop_server() {
    kill -INT "$server"
    wait "$server" || fail "http_server ends with exit code $?"
    cat "$tmp/errors" "$tmp/served"
}

# answers STATUS PATH [ARGUMENT OF CURL...]
answers() {
    local status
    status="$(curl -sS --path-as-is -o "$tmp/answer" -w '%{http_code}' "${@:3}" "$url/$2")"
    echo "$status $2"
    [[ "$status" == "$1" ]] || fail "http_server answers $status instead of $1 for $2"
}

serves_http() {
    local server url connections
    need_http_clients
    start_server
    answers 200 hello.txt
    cmp "$tmp/answer" "$tmp/site/hello.txt"
    answers 200 long.bin
    cmp "$tmp/answer" "$tmp/site/long.bin"
    answers 200 "" && grep -q '<a href="./sub/">' "$tmp/answer" || fail "the page does not list sub"
    answers 200 hello.txt --head && grep -qi '^content-length: 6' "$tmp/answer" || fail "HEAD does not tell the length"
    answers 301 sub
    answers 404 missing
    answers 403 ../secret.txt
    answers 403 link.txt
    answers 405 hello.txt --request DELETE
    for connections in 64 1000; do
        wrk -t1 "-c$connections" -d3s "$url/hello.txt" | tee "$tmp/wrk"
        ! grep -qE 'Socket errors|Non-2xx' "$tmp/wrk" || fail "not every request was served"
    done
    stop_server
    grep -qE '^served [0-9]{4,} requests on [0-9]{4,} connections, ' "$tmp/served" || fail "no summary"
    fails_with 2 "cannot serve $tmp/missing: " example http_server "$tmp/missing"
}

fetches() {
    local server url
    start_server
    mkdir "$tmp/fetched"
    example fetch -n 2 -o "$tmp/fetched" "$url/long.bin" "$url/hello.txt" "$url/hello.txt" "$url/"
    cmp "$tmp/fetched/long.bin" "$tmp/site/long.bin"
    cmp "$tmp/fetched/hello.txt.1" "$tmp/site/hello.txt"
    fails_with 1 "the server says 404 Not Found" example fetch -o "$tmp/fetched" "$url/hello.txt" "$url/missing"
    fails_with 1 "Connection refused" example fetch -o "$tmp/fetched" http://127.0.0.1:1/
    fails_with 2 "does not begin with http://" example fetch https://127.0.0.1/
    # The system accepts for a server that stands still, which then says nothing.
    kill -STOP "$server"
    fails_with 1 "the server said nothing for 300ms" example fetch -o "$tmp/fetched" --timeout 0.3 "$url/hello.txt"
    # The second try finds it going on.
    { sleep 3 && kill -CONT "$server"; } &
    "${CARGO_TARGET_DIR:-target}/release/examples/fetch" -o "$tmp/fetched" --timeout 2 "$url/hello.txt" 2>"$tmp/stderr"
    cat "$tmp/stderr"
    grep -q '^fetched 1 of 1 files, 1 of them at the second try: 6 bytes ' "$tmp/stderr" || fail "fetch did not try again"
    stop_server
    only_holds "$tmp/fetched" hello.txt hello.txt.1 index.html long.bin
}

# Of each mistake one line, the panic's own message aside; and none where they are mended.
tells_of_losses() {
    fails_with 1 "attempt to divide by zero" example lost_error >"$tmp/lost"
    cat "$tmp/lost"
    [[ "$(grep -c '^  deferral: ' "$tmp/lost")" == 4 ]] || fail "lost_error does not tell of four losses"
    grep -q 'rejection of .*: Os { code: 2, kind: NotFound, ' "$tmp/lost" || fail "lost_error does not tell the error"
    grep -q 'rejection: .* was abandoned: its last Deferred was dropped' "$tmp/lost" || fail "no abandoned deferred"
    grep -q 'rejection: .* panicked: attempt to divide by zero' "$tmp/lost" || fail "no panic of a task"
    grep -q 'the call scheduled at examples/lost_error.rs:.* took ' "$tmp/lost" || fail "no slow call"
    example lost_error --handled >"$tmp/handled"
    cat "$tmp/handled"
    [[ "$(grep -c 'handled: ' "$tmp/handled")" == 4 ]] || fail "lost_error --handled does not handle all"
}

# A virtual clock: the same story every time.
tells_a_story() {
    example traced >"$tmp/traced"
    cat "$tmp/traced"
    local line
    for line in 'traced: asked warehouse="far"' 'deferral: canceled' 'deferral: timed out' 'WARN deferral: abandoned' \
        'WARN deferral: unhandled rejection: '; do
        grep -qF -- "$line" "$tmp/traced" || fail "traced does not say '$line'"
    done
    [[ "$(example traced --level warn | grep -c '')" == 2 ]] || fail "traced has other warnings than two"
}

# The run line of each example. One without a line fails, so that none is forgotten.
run_example() {
    case "$1" in
    callback_api) follows_as_tail ;;
    cpu_bound) draws_everywhere ;;
    fetch) fetches ;;
    from_asyncio) from_asyncio ;;
    from_jquery) from_jquery ;;
    from_threads) counts_as_wc ;;
    from_twisted) from_twisted ;;
    host_loop) example host_loop ;;
    http_server) serves_http ;;
    lost_error) tells_of_losses ;;
    on_tokio) counts_words ;;
    siblings) finds_same_files ;;
    sort_chunks) example sort_chunks ;;
    stuck) fails_with 1 ", a cycle" example stuck ;;
    traced) tells_a_story ;;
    tui) example tui --headless ;;
    *) fail "example $1 has no run line in .ci/examples.sh" ;;
    esac
}

examples() {
    local path name
    cargo build --release --all-features --examples
    for path in examples/*.rs examples/*/main.rs; do
        [[ -e "$path" ]] || continue
        name="${path#examples/}"
        name="${name%.rs}"
        name="${name%/main}"
        echo "example: $name"
        run_example "$name"
    done
}
