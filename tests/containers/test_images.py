"""What the images are: no root, no secrets, no tools of the build, health checks that need no shell."""

import json
import re
import unittest

from stack import TAG, TOP, run

# Over the base, in MB. A growth beyond is somebody's mistake.
MAX_MB = {"kilnd": 90, "kiln-gateway": 35}
SECRET = re.compile(r"password|passwd|secret|token|private.key|BEGIN [A-Z ]*KEY|_auth|://[^/ ]*:[^/ ]*@", re.IGNORECASE)
# Names of files and mounts that hold nothing.
HARMLESS = re.compile(r"--mount=type=secret,id=[a-z-]+,target=\S+|/run/secrets/\S+|secrets:")


def image(name):
    return json.loads(run("docker", "image", "inspect", f"kiln/{name}:{TAG}").stdout)[0]


class ImageTest(unittest.TestCase):
    def test_both_images_are_small(self):
        base = json.loads(run("docker", "image", "inspect", "debian:trixie-slim").stdout)[0]["Size"]
        for name, most in MAX_MB.items():
            over = (image(name)["Size"] - base) / 1e6
            print(f"figure: {name}: {image(name)['Size'] / 1e6:.0f} MB, {over:.0f} MB over the base (goal: under {most})")
            self.assertLess(over, most)

    def test_nobody_is_root_and_health_checks_need_no_shell(self):
        for name in ("kilnd", "kiln-gateway", "kiln-sim"):
            config = image(name)["Config"]
            self.assertRegex(config["User"], r"^[1-9]\d*:[1-9]\d*$", name)
            self.assertEqual(config["Healthcheck"]["Test"][0], "CMD", name)
            self.assertFalse(config.get("Volumes"), name)
            self.assertNotEqual(config["Entrypoint"][0], "/bin/sh", name)

    def test_labels_tell_what_it_is(self):
        for name in MAX_MB:
            labels = image(name)["Config"]["Labels"]
            for label in ("title", "description", "version", "licenses", "authors"):
                self.assertTrue(labels[f"org.opencontainers.image.{label}"], f"{name} {label}")

    def test_no_secret_is_in_the_history(self):
        for name in ("kilnd", "kiln-gateway", "kiln-sim"):
            history = run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", f"kiln/{name}:{TAG}").stdout
            for line in (history + "\n".join(image(name)["Config"]["Env"])).splitlines():
                self.assertIsNone(SECRET.search(HARMLESS.sub("", line)), f"{name}: {line}")

    def test_nothing_of_the_build_is_left(self):
        for name in MAX_MB:
            found = run("docker", "run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", "--user", "0",
                        f"kiln/{name}:{TAG}", "-c",
                        "cd; ls -d /src /build /out /run/secrets /var/cache/ccache /var/cache/npm /var/cache/go-* "
                        ".npmrc .npm .config .cache go 2>/dev/null; "
                        "for tool in cc g++ cmake go node npm git curl wget python3; do command -v $tool; done; "
                        "find /var/lib/apt/lists /var/cache/apt -type f ! -name lock | head; "
                        "find / -xdev -perm -4000 -newer /usr/share/doc/kiln/LICENSE -type f 2>/dev/null; true").stdout
            self.assertEqual(found, "", name)

    def test_the_stub_loaders_are_there_and_the_programs_start(self):
        for program, name in (("kilnd", "kilnd"), ("kiln", "kilnd"), ("kiln-gateway", "kiln-gateway")):
            answer = run("docker", "run", "--rm", "--network", "none", "--read-only", "--entrypoint", f"/usr/bin/{program}",
                         f"kiln/{name}:{TAG}", "--version").stdout
            self.assertRegex(answer, r"^([a-z-]+ )?\d+\.\d+\.\d+$")
        stubs = run("docker", "run", "--rm", "--network", "none", "--entrypoint", "/bin/ls", f"kiln/kilnd:{TAG}",
                    "/usr/share/kiln/stubs").stdout
        self.assertIn("esp32s3.json", stubs)

    def test_the_daemon_takes_every_configuration_of_the_stack(self):
        for folder in ("", "sim", "windows"):
            run("docker", "run", "--rm", "--network", "none", "-v",
                f"{TOP / 'compose' / folder / 'kiln.toml'}:/etc/kiln/kiln.toml:ro", f"kiln/kilnd:{TAG}", "--check-config")

    def test_libusb_needs_no_udev(self):
        linked = run("docker", "run", "--rm", "--network", "none", "--entrypoint", "/usr/bin/ldd", f"kiln/kilnd:{TAG}",
                     "/usr/bin/kilnd").stdout
        self.assertIn("/usr/local/lib/libusb-1.0.so", linked)
        self.assertNotIn("libudev", linked)


if __name__ == "__main__":
    unittest.main(verbosity=2)
