#!/usr/bin/env python3
"""Measures what a program pays for promises of ever more types: code, compile time, and what a debug build runs through.

    python3 benches/size/measure.py             # everything, some minutes
    python3 benches/size/measure.py --check     # code at opt-level 3 alone; fails above 10 KB
    python3 benches/size/measure.py --crate ../another/checkout

It needs Linux, cargo, and for the last table valgrind. Sources and builds go to `size` in the target directory.

**Machine code per further pair (T, E).** The program is `pairs.rs`. For each pair it makes a promise, adds a `done` and a `fail`, and chains a
`then` whose function returns a `Result`. It polls the end of the chain by hand, with a waker that does nothing. It resolves or rejects, by
a number that the compiler does not know, and polls again. Every pair has types of its own: a value of 1, 2, 3 .. words, and an error
that is a `Broken` or 3, 5, 7 .. half words. The program is built with 1 pair and with 9. The difference of the two, by 8, is a further
pair. `.text` is the code; other sections are the tables (constants, vtables, unwinding). There is one codegen unit and no LTO, panics
unwind, and no build is incremental. A KB is 1,000 bytes.

**Compile time.** The program `pairs.rs` with 40 pairs is built several times; what it links to is built before. The table has the medians.
Both profiles are cargo's own, without increments: release compiles in 16 units, on as many processors as there are. The time that these
worked is steadier than the time that passed: read that one on a machine that does nothing else.

**Functions entered.** The program is `entered.rs`, a debug build under callgrind, which collects while one call of `resolve` lasts. A function
counts if an instruction of its own was executed; instances of one generic function count once. A function belongs to the crate or library
whose file defines it: `Option::map` is the standard library's, whatever is in the option. The last row is the `send` of tokio's oneshot to
a receiver that waits.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

LIMIT = 10_000  # bytes of code per further pair, at opt-level 3
FURTHER = 8  # pairs on top of the one that brings what all share
TIMED = 40  # pairs that are compiled against the clock

MANIFEST = """[package]
name = "{name}"
version = "0.0.0"
edition = "2024"

[dependencies]
deferral = {{ path = '{crate}' }}
{more}
[workspace]

[profile.fast]
inherits = "release"
opt-level = 3
codegen-units = 1
lto = "off"
panic = "unwind"

[profile.small]
inherits = "fast"
opt-level = "s"

[profile.dev]
incremental = false
"""


# Variables of the environment that change profiles or targets, or keep what was compiled.
CHANGES = re.compile(r"CARGO_PROFILE_|CARGO_INCREMENTAL|(CARGO_(BUILD_|ENCODED_)?)?(RUSTFLAGS|RUSTC_|TARGET$)")


def environment():
    """The caller's environment, without what would change the figures."""
    return {name: value for name, value in os.environ.items() if not CHANGES.match(name)}


class Program:
    """A package in the target directory that depends on the crate."""

    def __init__(self, name, crate, more=""):
        self.name = name
        # `cargo clean` takes it along.
        work = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "size"
        self.dir, self.target = work / name, work / "built"
        (self.dir / "src").mkdir(parents=True, exist_ok=True)
        (self.dir / "Cargo.toml").write_text(MANIFEST.format(name=name, crate=crate, more=more))
        # The dependencies are those that the crate itself is tested with.
        if (crate / "Cargo.lock").exists():
            shutil.copy(crate / "Cargo.lock", self.dir / "Cargo.lock")

    def build(self, profile, source):
        """Compiles the program anew, and returns its path."""
        (self.dir / "src" / "main.rs").write_text(source)
        command = ["cargo", "build", "--quiet", "--profile", profile, "--manifest-path", str(self.dir / "Cargo.toml")]
        subprocess.run(command, check=True, env=environment() | {"CARGO_TARGET_DIR": str(self.target)})
        return self.target / ("debug" if profile == "dev" else profile) / self.name


def pairs(number):
    """The source of a program with so many pairs."""
    lines = "".join(f"    pair_{n} {n} {2 * n + 1},\n" for n in range(1, number + 1))
    return f"{(HERE / 'pairs.rs').read_text()}\npairs! {{\n{lines}}}\n"


# ---------------------------------------------------------------------------------------------------------- machine code

TABLES = (".rodata", ".data.rel.ro", ".gcc_except_table", ".eh_frame", ".eh_frame_hdr")


def sections(path):
    """The sizes of the sections of an ELF file, by name."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"{path} is no 64-bit little-endian ELF file: run this on Linux")
    (start,) = struct.unpack_from("<Q", data, 0x28)
    size, number, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, start + n * size) for n in range(number)]
    text = headers[names][4]
    return {data[text + h[0] : data.index(b"\0", text + h[0])].decode(): h[5] for h in headers}


def code_and_tables(program, profile, number):
    path = program.build(profile, pairs(number))
    # The program asserts that every promise arrives. An argument makes it resolve, none reject.
    for arguments in ([], ["x"]):
        subprocess.run([path, *arguments], check=True)
    sizes = sections(path)
    return sizes[".text"], sum(sizes.get(name, 0) for name in TABLES)


def machine_code(program, levels):
    """Prints the table, and returns the bytes of code per further pair at the first level."""
    print("machine code per further pair (T, E)      code     tables")
    first = None
    for profile, title in levels:
        one, many = (code_and_tables(program, profile, number) for number in (1, 1 + FURTHER))
        code, tables = ((more - less) / FURTHER for less, more in zip(one, many))
        print(f"  {title:<34}{code / 1000:>7.1f} KB {tables / 1000:>7.1f} KB", flush=True)
        first = code if first is None else first
    return first


# ---------------------------------------------------------------------------------------------------------- compile time


def compile_time(program, runs):
    print(f"\ncompile time of {TIMED} pairs, median of {runs:<8} passed     worked", flush=True)
    for profile in ("release", "dev"):
        passed, worked = [], []
        # The first build also makes what the program links to.
        for _ in range(1 + runs):
            start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            program.build(profile, pairs(TIMED))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            passed.append(time.monotonic() - start)
            worked.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        passed, worked = (statistics.median(times[1:]) for times in (passed, worked))
        print(f"  {'debug' if profile == 'dev' else profile:<34}{passed:>8.1f} s {worked:>8.1f} s", flush=True)


# ----------------------------------------------------------------------------------------------------- functions entered


def entered(path, function):
    """Runs the program and returns what one call of the function executes: instructions by (file, name) of a function."""
    output = path.with_suffix(".callgrind")
    command = ["valgrind", "--tool=callgrind", f"--toggle-collect=entered::{function}", f"--callgrind-out-file={output}", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    names, executed = {}, {}
    file = current = None
    is_call = False

    def name(kind, text):
        """The name that a number stands for. Callgrind writes it where the number comes first."""
        number, rest = re.match(r"(\(\d+\))(?: (.*))?", text).groups()
        if rest is not None:
            names[kind, number] = rest
        return names[kind, number]

    for line in output.read_text().splitlines():
        key, _, text = line.partition("=")
        if key in ("fl", "fi", "fe"):
            file = name("file", text)
        elif key in ("cfi", "cfl"):
            name("file", text)
        elif key == "fn":
            current = (file, name("function", text))
        elif key == "cfn":
            name("function", text)
        elif key == "calls":
            is_call = True
        elif re.match(r"[-+*\d]", line):
            # The line after `calls` has what the called function executed.
            cost = 0 if is_call else int(line.split()[1])
            is_call = False
            if cost:
                executed[current] = executed.get(current, 0) + cost
    return executed


def functions_entered(crate):
    print("\nfunctions of a debug build        crate's   in files   std's   instructions", flush=True)
    if not shutil.which("valgrind"):
        print("  not counted: there is no valgrind")
        return
    program = Program("entered", crate, 'tokio = { version = "1", default-features = false, features = ["sync"] }')
    path = program.build("dev", (HERE / "entered.rs").read_text())
    rows = (
        ("resolve with one done", "resolve_with_done", f"{crate}/src/"),
        ("resolve with done and then", "resolve_with_done_and_then", f"{crate}/src/"),
        ("tokio's send to a waker", "send_to_a_waker", "/tokio-"),
    )
    for title, function, place in rows:
        executed = entered(path, function)
        own = {(file, name) for file, name in executed if place in file}
        std = {(file, name) for file, name in executed if "/library/" in file}
        files = {file for file, _ in own}
        print(f"  {title:<29}{len(own):>10}{len(files):>11}{len(std):>8}{sum(executed.values()):>15,}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help=f"only the code at opt-level 3; fails above {LIMIT / 1000:g} KB")
    parser.add_argument("--only", choices=("code", "time", "functions"), help="one table")
    parser.add_argument("--runs", type=int, default=3, help="builds of which the compile time is the median")
    parser.add_argument("--crate", type=Path, default=ROOT, help="the directory of the crate; by default the one around this file")
    arguments = parser.parse_args()
    crate = arguments.crate.resolve()
    program = Program("pairs", crate)
    if arguments.check:
        code = machine_code(program, [("fast", "opt-level 3")])
        if code > LIMIT:
            sys.exit(f"error: a further pair takes {code / 1000:.1f} KB of machine code; the limit is {LIMIT / 1000:g} KB")
        return
    if arguments.only in (None, "code"):
        machine_code(program, [("fast", "opt-level 3"), ("small", 'opt-level "s"')])
    if arguments.only in (None, "time"):
        compile_time(program, arguments.runs)
    if arguments.only in (None, "functions"):
        functions_entered(crate)


if __name__ == "__main__":
    main()
