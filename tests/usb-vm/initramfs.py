"""The root file system of the emulated machine: one cpio archive in memory.

Busybox, the distribution's Python for the cases, the kernel's modules, and Kiln's programs of this build with the
shared libraries they use.
"""

import pathlib
import re
import shutil
import subprocess
import tempfile

from kernel import Missing, run

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ["kilnd", "kiln", "kiln-sim", "kiln-usb-probe", "kiln-line-bench"]
# Parts of Python's library that no case uses and that are most of its size.
PYTHON_LEFT_OUT = ["test", "idlelib", "lib2to3", "ensurepip", "distutils", "tkinter", "turtledemo", "pydoc_data",
                   "config-*", "asyncio", "xmlrpc", "wsgiref", "curses", "dist-packages"]


def libraries(program):
    """The shared libraries `program` loads, as the dynamic linker finds them."""
    text = run("ldd", program)
    if "not found" in text:
        raise Missing(f"{program} lacks a library:\n{text}")
    return {pathlib.Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+)", text, re.MULTILINE)}


def copy(source, root, target):
    destination = root / str(target).lstrip("/")
    destination.parent.mkdir(parents=True, exist_ok=True)
    if not destination.exists():
        shutil.copy2(source.resolve(), destination)


def add_python(root):
    """The distribution's Python, not one of a version manager that may come first in PATH."""
    python = pathlib.Path("/usr/bin/python3").resolve()
    version = run(python, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])").strip()
    copy(python, root, "/usr/bin/python3")
    shutil.copytree(f"/usr/lib/{version}", root / "usr/lib" / version, symlinks=False, ignore_dangling_symlinks=True,
                    ignore=shutil.ignore_patterns(*PYTHON_LEFT_OUT))
    return {python}


def build(cache, kernel, bin_folder, stubs, output):
    """Writes the archive to `output`."""
    busybox = pathlib.Path("/bin/busybox")
    if not busybox.exists():
        raise Missing("busybox-static is not installed: scripts/setup --checks")
    with tempfile.TemporaryDirectory(prefix="initramfs-", dir=cache) as work:
        root = pathlib.Path(work)
        for folder in ("bin", "dev", "proc", "sys", "tmp", "run", "root", "etc"):
            (root / folder).mkdir()
        # Where /lib and the like lead on the machine that the libraries come from.
        for link in ("lib", "lib64"):
            (root / "usr" / link).mkdir(parents=True)
            (root / link).symlink_to(f"usr/{link}")
        copy(busybox, root, "/bin/busybox")
        shutil.copytree(kernel / "modules", root / "modules")
        needed = set()
        for program in add_python(root):
            needed |= libraries(program)
        for program in PROGRAMS:
            if not (bin_folder / program).exists():
                raise Missing(f"{bin_folder / program} is not built")
            needed |= libraries(bin_folder / program)
            (root / "kiln").mkdir(exist_ok=True)
            run("strip", "--strip-debug", "-o", root / "kiln" / program, bin_folder / program)
        for library in needed:
            copy(library, root, library if str(library).startswith(("/lib", "/usr")) else f"/usr/lib/{library.name}")
        if stubs and pathlib.Path(stubs).is_dir():
            shutil.copytree(stubs, root / "stubs", ignore=shutil.ignore_patterns("node_modules"))
        shutil.copytree(HERE / "guest", root / "cases", ignore=shutil.ignore_patterns("__pycache__"))
        copy(HERE.parent / "e2e" / "station.py", root, "/cases/station.py")
        (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\ntty:x:5:\ndialout:x:20:\n")
        shutil.move(root / "cases/init", root / "init")
        (root / "init").chmod(0o755)
        names = subprocess.run(["find", "."], cwd=root, check=True, stdout=subprocess.PIPE).stdout
        with output.open("wb") as archive:
            subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=root, check=True, input=names,
                           stdout=archive)
