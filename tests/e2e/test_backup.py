"""kiln backup and kiln restore: a restored station equals the old one event for event, and a restore that goes wrong
leaves the station as it was."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tarfile
import unittest

from station import BIN, PATIENCE, Station, await_true


class BackupTest(unittest.TestCase):
    def make_station(self, boards=("sim-0:esp32c3",), **options):
        station = Station(list(boards), **options)
        self.addCleanup(station.close)
        config = station.home / "kiln.toml"
        config.write_text(config.read_text() + f'[backup]\ndirectory = "{station.home}/backups"\nkeep = 2\n')
        return station

    def config_of(self, station):
        return ["--config", station.home / "kiln.toml"]

    def back_up(self, station):
        return station.answers("backup", *self.config_of(station))[0]

    def restore(self, station, archive, word="yes", environment=None, **options):
        return subprocess.run(
            [BIN / "kiln", "--json", "--lang", "en", "restore", *self.config_of(station), archive], input=word + "\n",
            capture_output=True, text=True, timeout=120 * PATIENCE, env=dict(os.environ, **(environment or {})),
            **options)

    def with_a_history(self, station, size=128 << 10):
        station.start()
        bundle = station.make_bundle("esp32c3", size)
        ended = station.await_end(station.order(bundle)["name"])
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        return bundle

    def state_of(self, station):
        """Everything below the state folder but the lock, as bytes."""
        root = station.home / "state"
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*"))
                if path.is_file() and not path.name.endswith((".lock", "-shm"))}

    def test_a_restored_station_equals_the_old_one_event_for_event(self):
        old = self.make_station(["sim-0:esp32c3", "sim-1:esp32c3"], sim_options=["--pace"])
        bundle = self.with_a_history(old)
        finished = old.deployment(old.answers("deployments", "list")[0]["name"])
        name = old.order(bundle, "sim-1")["name"]
        await_true(lambda: old.deployment(name)["step"] == "STEP_FLASH", 60, lambda: json.dumps(old.deployment(name)))
        backup = self.back_up(old)  # while the board is being written
        self.assertEqual(old.await_end(name)["state"], "STATE_SUCCEEDED", "the backup disturbs nobody")
        events = [event for event in old.events() if int(event["sequence"]) <= backup["last_sequence"]]
        self.assertEqual(len(events), backup["last_sequence"])

        new = self.make_station(boards=["sim-0:esp32c3", "sim-1:esp32c3"])
        done = self.restore(new, backup["path"])
        self.assertEqual(done.returncode, 0, done.stderr)
        new.start()

        self.assertEqual(new.events()[:len(events)], events)
        self.assertTrue(new.verify_ledger()["ok"])
        self.assertEqual(new.deployment(finished["name"]), finished)
        (record,) = [path for path in new.records.glob("customer-*.json")]
        self.assertEqual(record.read_text(), (old.records / record.name).read_text())
        self.assertEqual([b["id"] for b in new.answers("firmware", "list")], [b["id"] for b in old.answers("firmware", "list")])
        # What ran when the backup was made has gone on elsewhere since: nobody writes it a second time by itself.
        interrupted = new.deployment(name)
        self.assertEqual(interrupted["state"], "STATE_NEEDS_ATTENTION", interrupted)
        # And the station works.
        ended = new.await_end(new.order(bundle, "sim-0")["name"])
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        new.stop()
        new.start()
        self.assertEqual(new.deployment(name)["state"], "STATE_NEEDS_ATTENTION")

    def test_a_backup_taken_during_many_writes_is_whole(self):
        station = self.make_station([f"sim-{i}:esp32c3" for i in range(4)])
        bundle = self.with_a_history(station)
        names = [station.order(bundle, f"sim-{i}")["name"] for i in range(1, 4)]
        heads = [self.back_up(station) for _ in range(5)]
        for name in names:
            self.assertEqual(station.await_end(name)["state"], "STATE_SUCCEEDED")
        self.assertEqual(sorted(head["last_sequence"] for head in heads), [head["last_sequence"] for head in heads])
        kept = sorted(path.name for path in (station.home / "backups").glob("*.tar.gz"))
        self.assertLessEqual(len(kept), 2, "the newest two stay")
        for path in (station.home / "backups").glob("*.tar.gz"):
            with tarfile.open(path) as archive:
                folder = station.home / path.name.removesuffix(".tar.gz")
                archive.extractall(folder)
            subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=folder, check=True)

    def test_metrics_and_health_tell_of_backups(self):
        station = self.make_station()
        station.start()

        def check():
            return next(c for c in station.answers("health")[0]["checks"] if c["name"] == "backup")

        await_true(lambda: "No backup" in check()["message"], 20, check)
        self.back_up(station)
        await_true(lambda: check()["ok"] and "0 hours old" in check()["message"], 20, check)
        (station.home / "state" / "ledger.db").rename(station.home / "hidden")
        failed = station.kiln("backup", *self.config_of(station), check=False)
        (station.home / "hidden").rename(station.home / "state" / "ledger.db")
        self.assertEqual(json.loads(failed.stderr)["code"], "BACKUP_FAILED", failed.stderr)
        await_true(lambda: not check()["ok"] and "failed" in check()["message"], 20, check)
        self.assertEqual(len(list((station.home / "backups").glob("*.tar.gz"))), 1)

    def test_without_the_word_or_with_a_running_station_nothing_is_restored(self):
        station = self.make_station()
        self.with_a_history(station)
        backup = self.back_up(station)
        refused = self.restore(station, backup["path"])
        self.assertEqual(refused.returncode, 5)
        self.assertEqual(json.loads(refused.stderr)["code"], "RESTORE_REFUSED", refused.stderr)
        station.stop()
        before = self.state_of(station)
        for word in ("", "no", "YES", "yes please"):
            self.assertEqual(self.restore(station, backup["path"], word).returncode, 5)
            self.assertEqual(self.state_of(station), before)

    def test_a_tampered_or_newer_backup_is_refused_and_changes_nothing(self):
        station = self.make_station()
        self.with_a_history(station)
        backup = pathlib.Path(self.back_up(station)["path"])
        station.stop()
        before = self.state_of(station)
        whole = backup.read_bytes()

        for what, content in (("cut off", whole[:-1000]), ("empty", b""), ("flipped", flipped(whole)), ("no archive", b"x" * 5000)):
            with self.subTest(what):
                backup.write_bytes(content)
                done = self.restore(station, backup)
                self.assertEqual((done.returncode, json.loads(done.stderr)["code"]), (5, "BACKUP_DAMAGED"), done.stderr)
                self.assertEqual(self.state_of(station), before)

        backup.write_bytes(whole)
        folder = station.home / "newer"
        with tarfile.open(backup) as archive:
            archive.extractall(folder)
            names = archive.getnames()
        facts = json.loads((folder / "kiln-backup.json").read_text())
        facts["ledger"]["schema"] += 1
        (folder / "kiln-backup.json").write_text(json.dumps(facts))
        subprocess.run(f"sha256sum {' '.join(names[:-1])} > SHA256SUMS", shell=True, cwd=folder, check=True)
        subprocess.run(["tar", "--format=ustar", "-czf", backup, *names], cwd=folder, check=True)
        done = self.restore(station, backup)
        self.assertEqual((done.returncode, json.loads(done.stderr)["code"]), (5, "RESTORE_REFUSED"), done.stderr)
        self.assertEqual(self.state_of(station), before)

    def test_a_full_disk_leaves_no_half_backup_and_no_half_station(self):
        station = self.make_station()
        self.with_a_history(station, 1 << 20)
        backup = self.back_up(station)
        station.stop()
        before = self.state_of(station)

        def small_files():  # the kernel's own limit stands for a full disk
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, 256 << 10))

        done = self.restore(station, backup["path"], preexec_fn=small_files, restore_signals=False)
        self.assertEqual(json.loads(done.stderr)["code"], "DISK_FULL", done.stderr)
        self.assertEqual(self.state_of(station), before)

        failed = subprocess.run([BIN / "kiln", "--json", "backup", *self.config_of(station)], capture_output=True, text=True,
                                preexec_fn=small_files, restore_signals=False)
        self.assertEqual(json.loads(failed.stderr)["code"], "DISK_FULL", failed.stderr)
        self.assertEqual([path.name for path in (station.home / "backups").glob("*.tar.gz")],
                         [pathlib.Path(backup["path"]).name])
        self.assertEqual(list((station.home / "backups").glob(".unfinished*")), [])

    def test_killed_in_the_middle_of_a_restore_the_next_start_has_the_old_state_or_the_new(self):
        station = self.make_station()
        bundle = self.with_a_history(station)
        backup = self.back_up(station)
        old = station.events()[:backup["last_sequence"]]
        station.await_end(station.order(bundle, "sim-0")["name"])
        newest = station.events()[-1]
        station.stop()
        shutil.copytree(station.home / "state", station.home / "kept", symlinks=True)
        for point, restored in (("restore:checked", False), ("restore:decided", True), ("restore:away:ledger.db", True),
                                ("restore:ledger", True), ("restore:away:firmware", True), ("restore:records", True)):
            with self.subTest(point):
                shutil.rmtree(station.home / "state")
                shutil.copytree(station.home / "kept", station.home / "state")
                done = self.restore(station, backup["path"], environment={"KILN_FAILPOINT": point})
                self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
                station.start()
                events = station.events()
                self.assertEqual(events[:len(old)], old)
                self.assertEqual(newest in events, not restored)
                self.assertTrue(station.verify_ledger()["ok"])
                self.assertEqual(station.answers("firmware", "list")[0]["id"], bundle)
                station.stop()


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]


if __name__ == "__main__":
    unittest.main()
