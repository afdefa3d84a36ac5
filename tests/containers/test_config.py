"""The compose files and the checker of settings. Needs docker compose, and no engine."""

import itertools
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = TOP / "compose"
STAGES = ("", "dev", "staging", "prod")
BOARDS = ("", "sim", "windows", "lan")
EXTRAS = ("", "monitoring", "traefik", "monitoring traefik")
# What production asks for.
SETTINGS = {"EXPORT_HOST_DIR": "/srv/records", "KILN_BACKUP_DIR": "/srv/backups", "KILN_DOMAIN": "kiln.hospital.th",
            "KILN_ACME_EMAIL": "it@hospital.th"}


def merged(overlays, env_file="/dev/null", **settings):
    """What docker compose makes of the files: the configuration, or its complaint as an AssertionError."""
    files = [COMPOSE / "compose.yaml", *(COMPOSE / f"compose.{name}.yaml" for name in overlays.split())]
    done = subprocess.run(
        ["docker", "compose", "--project-directory", COMPOSE, "--env-file", env_file,
         *(word for file in files for word in ("-f", file)), "--profile", "*", "config", "--format", "json"],
        env=dict(os.environ, **SETTINGS | settings), capture_output=True, text=True, timeout=300)
    if done.returncode != 0 or "WARN" in done.stderr or "level=warning" in done.stderr:
        raise AssertionError(f"{overlays}: {done.stderr}")
    return json.loads(done.stdout)


class ComposeTest(unittest.TestCase):
    def test_every_combination_of_overlays_is_valid(self):
        for words in itertools.product(STAGES, BOARDS, EXTRAS):
            with self.subTest(overlays=" ".join(words)):
                services = merged(" ".join(words))["services"]
                self.assertLessEqual({"kilnd", "kiln-gateway", "kiln"}, set(services))
                for name, service in services.items():
                    self.assertFalse(service.get("privileged"), name)
                    self.assertNotIn("docker.sock", json.dumps(service), name)
                    self.assertNotRegex(service["image"], ":latest$|^[^:]*$", name)
                    if name in ("page", "dev"):
                        continue
                    self.assertEqual(service["cap_drop"], ["ALL"], name)
                    self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
                    self.assertTrue(service["logging"]["options"]["max-size"], name)
                    for port in service.get("ports", ()):
                        open_to_all = name == "traefik" and port["published"] in ("80", "443")
                        self.assertTrue(open_to_all or port["host_ip"] == "127.0.0.1", f"{name} {port}")

    def test_every_network_is_fixed_and_leaves_the_boards_network_alone(self):
        for overlays in ("lan", "staging lan", "windows"):
            subnets = [network["ipam"]["config"][0]["subnet"] for network in merged(overlays)["networks"].values()]
            self.assertEqual(len(subnets), len(set(subnets)))
            self.assertTrue(all(subnet.startswith("172.28.") for subnet in subnets), subnets)
        self.assertTrue(merged("")["networks"]["back"]["internal"])
        self.assertEqual(list(merged("")["services"]["kilnd"]["networks"]), ["back"])

    def test_usb_comes_without_privileges_and_only_where_it_exists(self):
        daemon = merged("")["services"]["kilnd"]
        self.assertEqual(daemon["device_cgroup_rules"], ["c 189:* rmw"])
        self.assertIn({"type": "bind", "source": "/dev/bus/usb", "target": "/dev/bus/usb"}, daemon["volumes"])
        for overlay in ("sim", "windows"):
            daemon = merged(overlay)["services"]["kilnd"]
            self.assertNotIn("device_cgroup_rules", daemon)
            self.assertEqual([mount["type"] for mount in daemon["volumes"] if mount["target"] == "/dev/bus/usb"], ["tmpfs"])

    def test_staging_stands_beside_another_stack(self):
        first, second = merged(""), merged("staging")
        self.assertNotEqual(first["name"], second["name"])
        self.assertEqual([port["published"] for port in second["services"]["kiln-gateway"]["ports"]], ["8090"])
        for name in ("front", "back"):
            self.assertNotEqual(first["networks"][name]["ipam"], second["networks"][name]["ipam"])

    def test_a_copy_of_the_example_leaves_the_defaults_of_an_overlay_alone(self):
        for overlays in ("", "staging", "windows", "staging lan"):
            found, own = merged(overlays, env_file=COMPOSE / ".env.example"), merged(overlays)
            self.assertEqual(found["networks"], own["networks"], overlays)
            for name, service in own["services"].items():
                self.assertEqual(found["services"][name].get("ports"), service.get("ports"), f"{overlays} {name}")

    def test_the_gateway_believes_the_proxy_of_its_own_network(self):
        for overlays in ("traefik", "staging traefik"):
            stack = merged(overlays)
            trusted = stack["services"]["kiln-gateway"]["environment"]["KILN_GATEWAY_TRUSTED_PROXIES"]
            self.assertIn(stack["networks"]["front"]["ipam"]["config"][0]["subnet"], trusted.split(","), overlays)

    def test_production_does_not_guess_and_behind_tls_nothing_else_is_open(self):
        with self.assertRaisesRegex(AssertionError, "EXPORT_HOST_DIR.*says where records go"):
            merged("prod", EXPORT_HOST_DIR="")
        with self.assertRaisesRegex(AssertionError, "KILN_DOMAIN"):
            merged("traefik", KILN_DOMAIN="")
        services = merged("prod traefik")["services"]
        self.assertNotIn("ports", services["kiln-gateway"])
        self.assertEqual(services["kilnd"]["restart"], "always")

    def test_images_have_the_version_of_this_checkout(self):
        version = re.search(r"project\(kiln VERSION ([0-9.]+)", (TOP / "CMakeLists.txt").read_text())[1]
        self.assertEqual(merged("")["services"]["kilnd"]["image"], f"kiln/kilnd:{version}")
        self.assertIn(f"\nKILN_TAG={version}\n", (COMPOSE / ".env.example").read_text())

    def test_the_example_names_every_variable_that_the_files_use(self):
        example = set(re.findall(r"^#?([A-Z_]+)=", (COMPOSE / ".env.example").read_text(), re.MULTILINE))
        used = set()
        for file in COMPOSE.glob("compose*.yaml"):
            used |= set(re.findall(r"\$\{([A-Z_]+)", file.read_text()))
        # The shell's.
        self.assertEqual(used - example, {"LANG"})


class CheckEnvTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kiln-env-")
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        self.tokens = self.home / "tokens"
        self.password = self.home / "password"
        self.tokens.write_text(f"admin:owner:sha256:{'0a' * 32}\n")
        self.password.write_text("Rq3vN0m8Zs6yK1dT\n")
        for file in (self.tokens, self.password):
            file.chmod(0o444)
        self.settings = {"EXPORT_HOST_DIR": self.home, "KILN_BACKUP_DIR": self.home, "KILN_UID": 1000, "KILN_TAG": "0.1.0",
                         "KILN_TOKEN_FILE": self.tokens, "GRAFANA_PASSWORD_FILE": self.password,
                         "KILN_DOMAIN": "kiln.hospital.th", "KILN_ACME_EMAIL": "it@hospital.th"}

    def check(self, **settings):
        """Exit code and complaints of compose/check-env."""
        lines = [f"{name}={value}" for name, value in (self.settings | settings).items()]
        (self.home / ".env").write_text("\n".join(lines) + "\n")
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("KILN_", "GRAFANA_"))}
        done = subprocess.run([COMPOSE / "check-env"], env=plain | {"KILN_ENV_FILE": str(self.home / ".env")},
                              capture_output=True, text=True, timeout=300)
        return done.returncode, done.stderr

    def test_good_settings_pass_also_in_production(self):
        for overlays in ("", "sim", "dev windows", "prod monitoring traefik"):
            self.assertEqual(self.check(KILN_OVERLAYS=overlays), (0, ""), overlays)

    def test_each_bad_value_is_named(self):
        production = {"KILN_OVERLAYS": "prod"}
        for settings, complaint in (
            ({"KILN_OVERLAYS": "prodd"}, 'KILN_OVERLAYS: there is no overlay "prodd"'),
            ({"KILN_OVERLAYS": "prod sim"}, "KILN_OVERLAYS: simulated boards"),
            ({"KILN_PROT": "1"}, "KILN_PROT: is no setting"),
            ({"KILN_PORT": "80800"}, "KILN_PORT: "),
            ({"KILN_PORT": "http"}, "KILN_PORT: "),
            ({"KILN_UID": "0"}, "KILN_UID: "),
            ({"KILN_UID": "somchai"}, "KILN_UID: "),
            ({"KILN_TAG": "latest"}, "KILN_TAG: "),
            ({"KILN_BIND": "anywhere"}, "KILN_BIND: "),
            (production | {"KILN_BIND": "0.0.0.0"}, "KILN_BIND: lets others reach"),
            ({"KILN_LOG_LEVEL": "loud"}, "KILN_LOG_LEVEL: "),
            ({"KILN_DAEMON_MEMORY": "lots"}, "KILN_DAEMON_MEMORY: "),
            ({"EXPORT_HOST_DIR": "/nowhere/at/all"}, "EXPORT_HOST_DIR: there is no folder"),
            ({"KILN_SUBNET_BACK": "192.168.0.0/16"}, "KILN_SUBNET_BACK: 192.168.0.0/16 overlaps 192.168.4.0/24"),
            ({"KILN_SUBNET_BACK": "172.28.200.128/25"}, "KILN_SUBNET_BACK: 172.28.200.128/25 overlaps KILN_SUBNET_FRONT"),
            ({"KILN_SUBNET_BACK": "172.28.300.0/24"}, "KILN_SUBNET_BACK: \"172.28.300.0/24\" is not a network"),
            ({"KILN_TOKEN_FILE": "/nowhere/tokens"}, "KILN_TOKEN_FILE: there is no file"),
            ({"KILN_OVERLAYS": "traefik", "KILN_DOMAIN": "station.example.com"}, "KILN_DOMAIN: is still a placeholder"),
            ({"KILN_OVERLAYS": "traefik", "KILN_ACME_EMAIL": ""}, "KILN_ACME_EMAIL: is missing"),
            ({"KILN_OVERLAYS": "monitoring", "GRAFANA_PASSWORD_FILE": "/nowhere"}, "GRAFANA_PASSWORD_FILE: there is no file"),
        ):
            with self.subTest(settings=settings):
                code, complaints = self.check(**settings)
                self.assertEqual(code, 1)
                self.assertIn(complaint, complaints)

    def test_weak_and_placeholder_secrets_are_named_and_never_shown(self):
        for tokens, overlays, complaint in (
            ("admin:owner:changeme-changeme-changeme-changeme", "", "line 1 is still a placeholder"),
            ("admin:owner:short", "", "line 1 has fewer than 32 characters"),
            ("# people\nking:owner:0123456789abcdef0123456789abcdef", "", "line 2 is not role:name:token"),
            ("admin:owner:0123456789abcdef0123456789abcdef", "prod", "line 1 holds the token itself"),
            ("admin:owner:sha256:12", "", "line 1 is no SHA-256"),
        ):
            with self.subTest(tokens=tokens):
                self.tokens.chmod(0o644)
                self.tokens.write_text(tokens + "\n")
                code, complaints = self.check(KILN_OVERLAYS=overlays)
                self.assertEqual(code, 1)
                self.assertIn(f"KILN_TOKEN_FILE: {complaint}", complaints)
                self.assertNotIn(tokens.splitlines()[-1].split(":")[-1], complaints.replace("changeme", ""))
        for mode, complaint in ((0o446, "may be changed by everybody"), (0o400, "cannot be read in the container")):
            self.tokens.chmod(mode)
            self.assertIn(complaint, self.check()[1])
        for password, complaint in (("changeme-changeme", "is still a placeholder"), ("short", "has fewer than 16"), ("", "is empty")):
            self.password.chmod(0o644)
            self.password.write_text(password)
            self.assertIn(f"GRAFANA_PASSWORD_FILE: {'' if password else str(self.password) + ' '}{complaint}",
                          self.check(KILN_OVERLAYS="monitoring")[1])

    def test_several_problems_are_told_at_once(self):
        code, complaints = self.check(KILN_PORT="x", KILN_UID="0", KILN_OVERLAYS="moon")
        self.assertEqual((code, complaints.count("\n")), (1, 4), complaints)
        self.assertIn("3 to change", complaints)


if __name__ == "__main__":
    unittest.main(verbosity=2)
