"""The distribution's own Linux kernel for the emulated machine: downloaded, unpacked, never installed.

What a boot needs of it is kept in a folder of the cache: `vmlinux` (QEMU boots an uncompressed kernel in a third of
the time) and `modules/` with the drivers, and `modules/order`, the order in which to load them.
"""

import gzip
import lzma
import pathlib
import re
import shutil
import subprocess
import tempfile

# The bus made of software, and the drivers of the adapters that development boards carry.
MODULES = ["vhci_hcd", "cp210x", "ch341", "ftdi_sio", "cdc_acm"]
# The package that always depends on the newest kernel: Debian's, Ubuntu's.
META_PACKAGES = ["linux-image-amd64", "linux-image-generic"]
# How compressed kernels begin, and what unpacks them.
COMPRESSIONS = [(b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b\x08", "gzip")]


class Missing(Exception):
    """Something this machine does not offer; the text says what to do."""


def run(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def release():
    """The release of the newest kernel apt knows, such as "6.1.0-56-amd64", and its packages."""
    if run("dpkg", "--print-architecture").strip() != "amd64":
        raise Missing("the emulated machine is an x86-64 PC; this is another architecture")
    for meta in META_PACKAGES:
        depends = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True).stdout
        found = re.search(r"Depends: linux-image-([0-9]\S*)", depends)
        if found:
            packages = [f"linux-image-{found[1]}"]
            # Ubuntu parts image and drivers.
            known = run("apt-cache", "pkgnames", "linux-modules").split()
            packages += [p for p in (f"linux-modules-{found[1]}", f"linux-modules-extra-{found[1]}") if p in known]
            return found[1], packages
    raise Missing(f"apt knows none of {', '.join(META_PACKAGES)}; apt-get update, or a Debian or Ubuntu mirror, is missing")


def download(packages, folder):
    """Unpacks `packages` of the distribution into `folder`, of kernels only what `fetch` needs."""
    with tempfile.TemporaryDirectory(prefix="kiln-apt-") as work:
        pathlib.Path(work).chmod(0o755)
        done = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages], cwd=work,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Missing(f"apt-get cannot download {' '.join(packages)}; try apt-get update\n{done.stderr}")
        for package in pathlib.Path(work).glob("*.deb"):
            archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
            subprocess.run(["tar", "-x", "-C", folder, "--wildcards", "--no-anchored", "--exclude=*/kernel/sound*",
                            "--exclude=*/kernel/net*", "--exclude=*/kernel/drivers/[!u]*", "*"],
                           stdin=archive.stdout, check=True)
            if archive.wait() != 0:
                raise Missing(f"{package.name} cannot be unpacked")


def unpack_kernel(image):
    """The ELF file inside a bzImage."""
    data = image.read_bytes()
    for magic, kind in COMPRESSIONS:
        at = data.find(magic)
        while at >= 0:
            kernel = decompress(data[at:], kind)
            if kernel[:4] == b"\x7fELF":
                return kernel
            at = data.find(magic, at + 1)
    raise Missing(f"{image.name} is compressed in a way this test does not know")


def decompress(data, kind):
    """What can be unpacked of `data`; it may be followed by other things. Empty if nothing can."""
    try:
        if kind == "xz":
            return lzma.LZMADecompressor().decompress(data)
        if kind == "gzip":
            return gzip.zlib.decompressobj(31).decompress(data)
    except (lzma.LZMAError, gzip.zlib.error):
        return b""
    return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def fetch(cache):
    """The folder of the newest kernel, made if the cache has none."""
    version, packages = release()
    folder = cache / version
    if (folder / "modules" / "order").exists():
        return folder
    print(f"preparing Linux {version} (once)", flush=True)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kernel-", dir=cache) as work:
        root = pathlib.Path(work) / "root"
        made = pathlib.Path(work) / "made"
        (made / "modules").mkdir(parents=True)
        root.mkdir()
        download(packages, root)
        (image,) = (root / "boot").glob("vmlinuz-*")
        (made / "vmlinux").write_bytes(unpack_kernel(image))
        copy_modules(root, version, made / "modules")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def copy_modules(root, version, target):
    """Copies the modules of MODULES and all they need, uncompressed, and writes the order to load them."""
    base = root if (root / "lib/modules" / version).exists() else root / "usr"
    # The warnings are of modules that were not unpacked; one that is needed shows in modprobe's words.
    subprocess.run(["depmod", "-b", base, version], check=True, stderr=subprocess.DEVNULL)
    order = []
    for module in MODULES:
        for line in run("modprobe", "-d", base, "-S", version, "-D", module).splitlines():
            words = line.split()
            if words[0] != "insmod":
                continue  # "builtin"
            path = pathlib.Path(words[1])
            name = path.name.split(".ko")[0] + ".ko"
            if name in order:
                continue
            data = path.read_bytes()
            for suffix, kind in ((".xz", "xz"), (".zst", "zstd"), (".gz", "gzip")):
                if path.name.endswith(suffix):
                    data = decompress(data, kind)
            (target / name).write_bytes(data)
            order.append(name)
    (target / "order").write_text("\n".join(order) + "\n")
