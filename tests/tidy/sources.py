"""Which files of the project the tidy tests look at: those of its own folders, wherever the
checkout stands and whether or not git is there. Fixtures that are bad on purpose are left out."""
import pathlib

FOLDERS = ("record", "casework", "storage", "replication", "noded", "admin", "tests", "docs",
           "scripts", "cmake", ".ci")
SKIPPED = ("tests/tidy/fixtures", "tests/data", "tests/vectors", "tests/golden")


def project_files(root):
    """Paths below `root`, relative to it, sorted: all text of ours but fixtures and data."""
    found = [path.relative_to(root) for path in root.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += [path.relative_to(root) for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(path for path in found if not _skipped(path))


def c_files(root):
    return [path for path in project_files(root) if path.suffix in (".c", ".h")]


def _skipped(path):
    text = path.as_posix()
    return "__pycache__" in text or any(text.startswith(folder + "/") for folder in SKIPPED)


def project_root():
    return pathlib.Path(__file__).resolve().parent.parent.parent
