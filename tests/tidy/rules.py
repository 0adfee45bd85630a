"""The house rules, one function each: rule(file) yields (line, text). STYLE of the project in a
form that a machine can hold; each rule has a bad snippet in fixtures/ that must be caught."""
import re

from c_text import function_name, functions

LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# Which layer may include which; tests may include all.
LAYERS = {
    "record": {"record"},
    "casework": {"casework", "record"},
    "storage": {"storage", "record", "casework"},
    "replication": {"replication", "record"},
    "transport": {"transport", "replication", "record"},
    "admin": {"admin", "record"},
    "noded": {"noded", "record", "casework", "storage", "replication", "transport", "admin"},
}
PURE = {"record", "casework", "replication"}

# System headers and libraries that belong to some layers alone.
LIBRARIES = [
    (re.compile(r"lmdb\.h"), {"storage"}),
    (re.compile(r"nng/.*"), {"transport", "noded", "admin"}),
    (re.compile(r"event2/.*"), {"noded"}),
    (re.compile(r"cyaml/.*"), {"casework", "noded", "admin"}),
    (re.compile(r"cjson/.*|csv\.h"), {"noded", "admin"}),
    (re.compile(r"(sys/)?time\.h|pthread\.h|threads\.h|unistd\.h|fcntl\.h|sys/socket\.h"
                r"|netinet/.*|sys/random\.h"),
     {"storage", "transport", "noded", "admin"}),
]

_CLOCKS = (r"time|clock|clock_gettime|gettimeofday|localtime|localtime_r|mktime|sleep|usleep"
           r"|nanosleep")
_RANDOM = (r"rand|rand_r|srand|random|srandom|drand48|getrandom|getentropy|randombytes\w*"
           r"|crypto_\w+_keygen|crypto_(?!\w*seed_keypair)\w*_keypair")
_OUTSIDE = (r"fopen|fdopen|open|openat|creat|read|write|pread|pwrite|mmap|socket|connect|accept"
            r"|send|recv|getenv|pthread_\w+")
IMPURE_CALL = re.compile(rf"(?<![\w.>])({_CLOCKS}|{_RANDOM}|{_OUTSIDE})\s*\(")
CLOCK_CALL = re.compile(r"(?<![\w.>])(time|clock_gettime|gettimeofday)\s*\(")
UNSAFE_CALL = re.compile(
    r"(?<![\w.>])(strcpy|stpcpy|strcat|sprintf|vsprintf|gets|alloca|system|assert)\s*\(")
MUTABLE_STATIC = re.compile(
    r"^\s*(?:static|_Thread_local)\s(?!.*\bconst\b)(?!\s*inline\b)[^(]*?(?:=|;|\[)")
TYPEDEF = re.compile(r"\btypedef\s+(?:struct|enum|union)\b"
                     r"(?!\s+\w+[\s*]+(?:\(\s*\*)?\s*\w+\)?\s*\()"  # of a function's type
                     r"|\btypedef\b[^;(]*\w_t\s*;"
                     r"|\btypedef\b[^;]*\(\s*\*\s*\w+_t\s*\)")
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX")) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w./$}<])/(home|root|work|workspace|Users|builds)/[\w.]")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def file_size(file):
    if len(file.lines) > LINES_MAX:
        yield len(file.lines), f"{len(file.lines)} lines; at most {LINES_MAX}"


def line_width(file):
    for number, line in enumerate(file.lines, 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns; at most {COLUMNS_MAX}"


def white_space(file):
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            yield number, "white space at the end of the line"
        if "\t" in line and file.is_c:
            yield number, "a tab; indent with spaces"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "no newline at the end of the file"


def function_size(file):
    for first, last in functions(file.code):
        if last - first > FUNCTION_LINES_MAX:
            name = function_name(file.code, first)
            yield first, f"function {name} has {last - first} lines; at most {FUNCTION_LINES_MAX}"


def layer(file):
    if file.layer is None:
        return
    for number, line in enumerate(file.lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        path = match.group(2)
        if match.group(1) == "<":
            for pattern, allowed in LIBRARIES:
                if pattern.fullmatch(path) and file.layer not in allowed:
                    yield number, f"{file.layer}/ must not include <{path}>"
        elif ".." in path.split("/"):
            yield number, f'"{path}" leaves its folder'
        elif "/" not in path:
            if not (file.path.parent / path).is_file():
                yield number, f'"{path}" does not stand beside this file'
        elif path.split("/")[0] not in LAYERS[file.layer]:
            yield number, f"{file.layer}/ must not know {path.split('/')[0]}/"


def impure_call(file):
    pattern = IMPURE_CALL if file.layer in PURE else CLOCK_CALL if file.layer == "storage" else None
    for number, line in enumerate(file.code, 1):
        for match in pattern.finditer(line) if pattern else ():
            yield number, f"{file.layer}/ must not call {match.group(1)}()"


def mutable_static(file):
    for number, line in enumerate(file.code, 1):
        if file.layer in PURE and MUTABLE_STATIC.match(line):
            yield number, f"{file.layer}/ must not keep state in a static variable"


def unsafe_call(file):
    for number, line in enumerate(file.code, 1):
        for match in UNSAFE_CALL.finditer(line):
            yield number, f"{match.group(1)}() is not used here"


def typedef(file):
    for number, line in enumerate(file.code, 1):
        if TYPEDEF.search(line):
            yield number, "struct and enum are spelled out; no typedef, no _t of ours"


def guard(file):
    if file.path.suffix != ".h":
        return
    wanted = file.guards()
    code = [(number, line.strip()) for number, line in enumerate(file.code, 1) if line.strip()]
    found = re.match(r"#ifndef (\w+)$", code[0][1]) if code else None
    if not found or found.group(1) not in wanted:
        yield code[0][0] if code else 1, f"include guard must come first and be {wanted[0]}"
    elif len(code) < 2 or code[1][1] != f"#define {found.group(1)}" or code[-1][1] != "#endif":
        yield code[0][0], "#define must follow the guard's #ifndef, and #endif end the file"


def header_comment(file):
    if file.path.suffix == ".h":
        comment = re.match(r"\s*/\*(.*?)\*/", file.text, re.DOTALL)
        if not comment or len(comment.group(1).split()) < 5:
            yield 1, "a header starts with a paragraph on what it owns and why it exists"


def unfinished(file):
    for number, line in enumerate(file.lines, 1):
        match = UNFINISHED.search(line)
        if match:
            yield number, f"{match.group(1)}: finish it, or leave it out"


def machine_path(file):
    for number, line in enumerate(file.lines, 1):
        match = MACHINE_PATH.search(line)
        if match:
            yield number, f"a path of one machine: {line[match.start():].split()[0][:40]}"


C_RULES = (file_size, line_width, white_space, function_size, layer, impure_call, mutable_static,
           unsafe_call, typedef, guard, header_comment, unfinished, machine_path)
CODE_RULES = (file_size, line_width, white_space, unfinished, machine_path)
TEXT_RULES = (unfinished, machine_path)
