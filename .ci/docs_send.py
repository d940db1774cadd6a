#!/usr/bin/env python3
"""Holds that the pages of `Deferred` and `Promise` say when these cross threads: `Send` and `Sync` where the types inside are `Send`.

    cargo doc --no-deps --lib
    python3 .ci/docs_send.py [DIRECTORY]    # of the crate's pages; by default `doc/deferral` in the target directory

rustdoc writes `!Send` on a page where the impls are of one flavor alone, although the types of that flavor are `Send`. A reader must find
an impl with its bounds, be it among the auto traits or among those that are written out.
"""

import html
import os
import re
import sys
from pathlib import Path

ENDS = ("Deferred", "Promise")
PARAMETERS = ("T", "E", "P")


def impls(page):
    """The heads of all impls on a page, as a reader sees them: `impl<T> Send for Promise<T> where T: Send`."""
    for head in re.findall(r'<h3 class="code-header">(.*?)</h3>', page, re.DOTALL):
        # A browser sets the clause on a line of its own.
        text = html.unescape(re.sub(r"<[^>]*>", "", head.replace('<div class="where">', " ")))
        yield " ".join(text.split())


def faults(end, page):
    """Prints the impls of a page, and yields what is wrong with them, in words."""
    for trait in ("Send", "Sync"):
        found = [head for head in impls(page) if re.search(rf"\b{trait} for {end}<", head)]
        print(*found, sep="\n")
        if not found:
            yield f"the page of {end} says nothing of `{trait}`"
        for head in found:
            if f"!{trait} for" in head:
                yield f"the page of {end} denies `{trait}`: {head}"
                continue
            missing = [name for name in PARAMETERS if not re.search(rf"\b{name}: [^,>]*\bSend\b", head)]
            if missing:
                yield f"the page of {end} has `{trait}` without the bound that {', '.join(missing)} be `Send`: {head}"
            if re.search(r": [^,>]*\bSync\b", head):
                yield f"the page of {end} asks for `Sync`, which nothing needs: {head}"


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).resolve().parent.parent / "target")
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else target / "doc" / "deferral"
    found = []
    for end in ENDS:
        path = directory / f"struct.{end}.html"
        if not path.exists():
            sys.exit(f"error: there is no {path}: run `cargo doc --no-deps --lib` first")
        found += faults(end, path.read_text(encoding="utf-8"))
    for fault in found:
        print(f"error: {fault}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
