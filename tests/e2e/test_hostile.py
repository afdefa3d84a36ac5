"""Bad input and bad luck: each ends in its own clear error, and nothing already accepted is harmed."""

import io
import json
import os
import pathlib
import subprocess
import unittest
import zipfile

from station import CUSTOMER, Station


class HostileInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.station = Station(["sim-0:esp32c3"])
        cls.addClassCleanup(cls.station.close)
        cls.station.start()
        cls.bundle = cls.station.make_bundle("esp32c3", 128 << 10)
        cls.good = cls.station.home / "firmware-esp32c3-131072-1"

    def refused(self, code, *arguments):
        done = self.station.kiln(*arguments, check=False)
        self.assertEqual(done.returncode, 5, done.stderr + done.stdout)
        failure = json.loads(done.stderr)
        self.assertEqual(failure["code"], code, failure)
        self.assertTrue(failure["detail"], "says what is wrong")
        return failure

    def import_refused(self, code, content, name="package.zip"):
        path = self.station.home / name
        path.write_bytes(content)
        before = self.station.answers("firmware", "list", "--all")
        failure = self.refused(code, "firmware", "import", path)
        self.assertEqual(self.station.answers("firmware", "list", "--all"), before, "nothing stored")
        return failure

    def package(self, change=lambda name, content: content, extra=()):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(self.good.rglob("*")):
                if path.is_file():
                    name = str(path.relative_to(self.good))
                    archive.writestr(name, change(name, path.read_bytes()))
            for name, content in extra:
                archive.writestr(name, content)
        return out.getvalue()

    def app_name(self):
        files = json.loads((self.good / "flasher_args.json").read_text())["flash_files"]
        return files["0x10000"]

    def test_truncated_images(self):
        app = self.app_name()
        for keep in (0, 1, 23, 24, 100, 4096, -1, -16, -33):
            with self.subTest(keep=keep):
                failure = self.import_refused("BUNDLE_INVALID", self.package(
                    lambda name, content: content[:keep] if name == app else content))
                self.assertIn(os.path.basename(app), failure["detail"])

    def test_wrong_chip(self):
        def claim_esp32(name, content):
            return content.replace(b'"esp32c3"', b'"esp32"') if name == "flasher_args.json" else content
        self.import_refused("BUNDLE_INVALID", self.package(claim_esp32))

    def test_overlapping_parts(self):
        def overlap(name, content):
            return content.replace(b"0x10000", b"0x8000") if name == "flasher_args.json" else content
        def inside_bootloader(name, content):
            return content.replace(b"0x8000", b"0x1000") if name == "flasher_args.json" else content
        self.import_refused("BUNDLE_INVALID", self.package(overlap))
        self.import_refused("BUNDLE_INVALID", self.package(inside_bootloader))

    def test_hostile_zips(self):
        for name in ("../escape.bin", "/etc/escape.bin", "a/../../escape.bin", "..\\escape.bin"):
            with self.subTest(name=name):
                self.import_refused("BUNDLE_INVALID", self.package(extra=[(name, b"x")]))
        self.assertFalse((self.station.home / "escape.bin").exists())
        bomb = self.package(extra=[(f"zeros{i}.bin", b"\0" * (40 << 20)) for i in range(4)])
        self.import_refused("BUNDLE_TOO_LARGE", bomb)
        self.import_refused("BUNDLE_INVALID", self.package()[:-40])
        self.import_refused("BUNDLE_UNSUPPORTED", b"neither a zip nor an image", "notes.txt")

    def test_customers(self):
        for organization, customer_id, application in (
                ("org", "๑๒๓", "app"), ("org", "AB", "app"), ("org", "ABCDEFGHIJK", "app"),
                ("org", "A B C", "app"), ("", "BGK001", "app"), ("org", "BGK001", ""),
                ("o" * 201, "BGK001", "app"), ("org", "BGK001", "line\nbreak")):
            with self.subTest(organization=organization[:5], customer_id=customer_id, application=application):
                self.refused("CUSTOMER_INVALID", "deploy", "--org", organization, "--id", customer_id,
                             "--app", application, "--bundle", self.bundle, "--no-wait")
        self.refused("CUSTOMER_INVALID", "deploy", *CUSTOMER, "--expiry", "2026-02-30",
                     "--bundle", self.bundle, "--no-wait")

    def test_a_package_over_the_limit(self):
        small = Station([], config="[firmware]\nmax_package_mib = 1")
        self.addCleanup(small.close)
        small.start()
        package = small.home / "big.bin"
        package.write_bytes(os.urandom(10 << 20))
        done = small.kiln("firmware", "import", package, check=False)
        self.assertEqual(json.loads(done.stderr)["code"], "BUNDLE_TOO_LARGE", done.stderr)
        self.assertEqual(small.answers("firmware", "list"), [])
        self.assertEqual(small.answers("health")[0]["level"], "LEVEL_HEALTHY")

    def test_unknown_things(self):
        self.assertEqual(self.station.kiln("deployments", "show", "none", check=False).returncode, 4)
        self.assertEqual(self.station.kiln("firmware", "show", "0123456789", check=False).returncode, 4)
        self.assertEqual(self.station.kiln("deploy", *CUSTOMER, "--bundle", self.bundle, "--port", "nowhere",
                                           "--no-wait", check=False).returncode, 4)


@unittest.skipUnless(os.geteuid() == 0, "mounting a small file system needs root")
class BadDiskTest(unittest.TestCase):
    def mount(self, folder, options):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "kiln-test", folder],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"cannot mount: {done.stderr}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=False)

    def remount(self, folder, options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)

    def test_a_read_only_export_folder_fails_the_export_and_a_retry_finishes(self):
        station = Station(["sim-0:esp32c3"])
        self.mount(station.records, "size=1m")
        self.addCleanup(station.close)
        station.start()
        bundle = station.make_bundle("esp32c3", 128 << 10)
        self.remount(station.records, "ro")
        failed = station.await_end(station.order(bundle)["name"])
        self.assertEqual((failed["state"], failed["failure"]["code"], failed["step"]),
                         ("STATE_FAILED", "RECORD_WRITE_FAILED", "STEP_EXPORT"), failed)
        self.remount(station.records, "rw")
        station.kiln("deployments", "retry", failed["name"], "--no-wait")
        ended = station.await_end(failed["name"])
        self.assertEqual((ended["state"], ended["attempt"]), ("STATE_SUCCEEDED", 2), ended)
        self.assertEqual(ended["wifi_ssid"], failed["wifi_ssid"], "the identity stays")

    def test_a_full_disk_refuses_new_orders_and_keeps_the_old_ones(self):
        station = Station(["sim-0:esp32c3"])
        state = station.home / "state"
        self.mount(state, "size=8m")
        self.addCleanup(station.close)
        station.start()
        bundle = station.make_bundle("esp32c3", 128 << 10)
        kept = station.await_end(station.order(bundle)["name"])
        self.assertEqual(kept["state"], "STATE_SUCCEEDED", kept)

        with (state / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        done = station.kiln("deploy", *CUSTOMER, "--bundle", bundle, "--no-wait", check=False)
        self.assertIn(json.loads(done.stderr)["code"], ("DISK_FULL", "LEDGER_WRITE_FAILED"), done.stderr)
        (state / "filler").unlink()

        ended = station.await_end(station.order(bundle, "sim-0")["name"])
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        self.assertEqual(station.deployment(kept["name"])["state"], "STATE_SUCCEEDED")
        self.assertTrue(station.verify_ledger()["ok"])


if __name__ == "__main__":
    unittest.main()
