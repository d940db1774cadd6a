#!/usr/bin/env python3
"""Imports in src point downward: prints each circle, of files and of parts (the folders of src, and the files beside them), and fails
if there is one. `.ci/circles.py [SRC]` reads `use` declarations, and the paths in code that begin with a module or an imported name. Each
leads to the file that defines what it names: what a mod.rs or lib.rs hands on is not its own. What only tests compile does not count."""

import re
import sys
from pathlib import Path

SRC = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "src")
NOISE = re.compile(r"""//[^\n]*|/\*.*?\*/|\br(#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\[^']+|[^'\\])'""", re.S)
TOKEN = re.compile(r"(\bpub\s+)?\b(?:use\s+([^;]+);|mod\s+(\w+)\s*\{)|([{}])|(?<![\w:.])((?:\w+\s*::\s*)+\w+)")
modules, found = {}, []  # module -> (its file, name -> the paths it stands for); (module, a path in it)


def code(text):
    """Without comments, strings, degrees of `pub`, and what is compiled for tests alone."""
    text = re.sub(r"\bpub\((in|crate|super|self)\b[^)]*\)", "pub", NOISE.sub(" ", text))
    while (start := text.find("#[cfg(test)]")) >= 0:
        end = re.compile("[;{]").search(text, start).end()
        depth = text[start:end].count("{")
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        text = text[:start] + text[end:]
    return text


def leaves(tree, stem=()):
    """The paths of a `use`, each with the name that it gets."""
    if brace := re.fullmatch(r"\s*([\w:\s]*)\{(.*)\}\s*", tree, re.S):
        for part in re.findall(r"(?:[^,{]|\{(?:[^{}]|\{[^{}]*\})*\})+", brace[2]):
            yield from leaves(part, stem + tuple(re.findall(r"\w+", brace[1]))) if part.strip() else ()
    else:
        path, _, name = tree.partition(" as ")
        path = stem + tuple(re.findall(r"\w+|\*", path))
        path = path[:-1] if path[-1] == "self" and len(path) > 1 else path
        yield path, name.strip() or path[-1]


def files(module, path):
    """The files that define what `path` names in `module`: several where a feature decides, its own for the names of other crates."""
    roots = {"crate": (), "self": module, "super": module[:-1]}
    if path and path[0] in roots:
        return files(roots[path[0]], path[1:])
    if path and module + path[:1] in modules:
        return files(module + path[:1], path[1:])
    targets = [to for to in modules[module][1].get(path[0], []) if to[0] in roots or module + to[:1] in modules] if path else []
    return {file for to in targets for file in files(module, to + path[1:])} if targets else {modules[module][0]}


def circles(arrows, what):
    """Prints the circles, and says how many there are."""
    reach = {start: {target for source, target in arrows if source == start and target != start} for start, _ in arrows}
    for _ in reach:
        reach = {start: seen.union(*(reach.get(target, ()) for target in seen)) for start, seen in reach.items()}
    rings = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in reach if a in reach[a]}
    for ring in sorted(map(sorted, rings)):
        print(f"a circle of {len(ring)} {what}: {', '.join(ring)}")
        print("".join(f"    {a} -> {b}\n" for a, b in sorted(arrows) if a != b and a in ring and b in ring), end="")
    return len(rings)


for file in sorted(SRC.rglob("*.rs")):
    name = file.relative_to(SRC).with_suffix("").parts
    nest = [name[:-1] if name[-1] in ("mod", "lib") else name]  # the modules, and blocks, that the code is in
    for public, use, inner, brace, path in TOKEN.findall("" if "tests" in name else code(file.read_text())):
        names = modules.setdefault(nest[-1], (str(file.relative_to(SRC)), {}))[1]
        if inner or brace == "{":
            nest.append(nest[-1] + (inner,) if inner else nest[-1])
        elif brace:
            nest.pop()
        for target, alias in leaves(use) if use else [(tuple(re.findall(r"\w+", path)), None)] if path else []:
            names.setdefault(alias, []).append(target)
            found += [] if public and file.stem in ("mod", "lib") else [(nest[-1], target)]
pairs = {(modules[module][0], file) for module, path in found for file in files(module, path)}
parts = {tuple(file.split("/")[0].removesuffix(".rs") for file in pair) for pair in pairs}
sys.exit(circles(pairs, "files") + circles(parts, "parts") > 0)
