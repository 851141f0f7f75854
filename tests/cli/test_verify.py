#!/usr/bin/env python3
"""`verify` on vaults that are written here by docs/format.md alone, plain and encrypted: what each depth
finds, how damage is named, what is kept of it. Needs no server."""

import hashlib
import json
import os
import random
import struct
import unittest
import urllib.request

import harness
import sealed_vault
from harness import Lifeboat
from sealed_vault import CHUNK, EXTENT, LOGBOOK, PACK, POINT, SEALED, SNAPSHOT, SealedVault, crc32c, text

FIRST = "20260101T000000000Z-0001"
SECOND = "20260102T000000000Z-0002"
LOG = "postgres/7301/00000001"


class Maker:
    """Writes a vault's objects; `sealed`: None in a plain vault."""

    def __init__(self, folder, sealed):
        self.folder, self.sealed = folder, sealed
        self.packs = 0

    def put(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def whole(self, kind, name, payload):
        seal = self.sealed.seal if self.sealed else sealed_vault.frame
        self.put(name, seal(kind, name, payload))

    def container(self, kind, name, part, contents, footer):
        """`footer(stored)`: its bytes, of [(offset, stored bytes)]."""
        cipher = salt = None
        if self.sealed:
            salt = os.urandom(16)
            cipher = self.sealed.cipher(kind, name, salt)
        stored, at = [], 24
        for content in contents:
            if cipher:
                content = cipher.encrypt(SealedVault.nonce(part, at), content, None)
            stored.append((at, content))
            at += len(content)
        table, flags = footer(stored), SEALED if cipher else 0
        size = at + len(table) + 24 + (32 if cipher else 0)
        head = sealed_vault.HEADER.pack(b"LIFEBOAT", 1, kind, flags, size - 24)
        if cipher:
            nonce = SealedVault.nonce(sealed_vault.FOOTER, at)
            table = salt + cipher.encrypt(nonce, table, head + bytes([flags]))
        start = crc32c(name.encode())
        end = struct.pack("<IIHBB", len(table), crc32c(table, start), 1, kind, flags)
        end += struct.pack("<I", crc32c(end, start)) + b"LBOATEND"
        body = b"".join(content for _, content in stored)
        self.put(name, head + struct.pack("<I", crc32c(head, start)) + body + table + end)

    def pack(self, *contents):
        self.packs += 1
        name = f"packs/20260101T000000000Z-{self.packs:016x}"

        def footer(stored):
            out = struct.pack("<I", len(contents))
            for content, (_, kept) in zip(contents, stored):
                out += hashlib.sha256(content).digest()
                out += struct.pack("<IIBI", len(kept), len(content), 0, crc32c(kept))
            return out

        self.container(PACK, name, CHUNK, contents, footer)
        return name

    def logbook(self, incarnation, number, base, content):
        name = f"logbook/20260101T000000000Z-{incarnation:08x}/{number:020d}"

        def footer(stored):
            ((at, kept),) = stored
            out = struct.pack("<qIII", 1000, 1, 1, 0) + text(LOG)
            out += struct.pack("<IqqqqQQQBI", 0, base, base + len(content), 1000, 1000, at, len(kept),
                               len(content), 0, crc32c(kept))
            return out + text("")

        self.container(LOGBOOK, name, EXTENT, [content], footer)
        return name

    def snapshot(self, files):
        """Of {path: content}: each a chunk in a pack of its own; gives the id and the packs by path."""
        listed, packs = b"", {}
        for path, content in files.items():
            packs[path] = self.pack(content)
            listed += b"\3" + text(path) + struct.pack("<Iq", 0o600, 0)
            listed += b"\4" + hashlib.sha256(content).digest() + struct.pack("<I", len(content))
            listed += b"\5" + struct.pack("<Q", len(content))
        packs[None] = self.pack(listed)
        root = {"kind": "postgres-base", "meta": {"n": self.packs}, "entries": len(files),
                "bytes": sum(map(len, files.values())),
                "pages": [[hashlib.sha256(listed).hexdigest(), len(listed)]]}
        payload = json.dumps(root).encode()
        digest = hashlib.sha256(payload).hexdigest()
        named = self.sealed.name_of(payload) if self.sealed else digest
        self.whole(SNAPSHOT, f"snapshots/{named}", payload)
        return digest, packs

    def point(self, id, snapshot, logs=()):
        time = f"{id[:4]}-{id[4:6]}-{id[6:8]}T00:00:00.000Z"
        point = {"id": id, "created": time, "finished": time, "label": "",
                 "stores": {"postgres": {"snapshot": snapshot, "logs": list(logs)}}}
        self.whole(POINT, f"points/{id}", json.dumps(point).encode())


class Verify:
    """For a plain vault and for an encrypted one."""

    def setUp(self):
        self.seed = int(os.environ.get("LIFEBOAT_SEED", random.randrange(1 << 32)))
        print(f"LIFEBOAT_SEED={self.seed}")
        self.random = random.Random(self.seed)
        self.folder = harness.temporary_folder(self)
        self.lifeboat = Lifeboat(self.folder)
        self.vault = self.lifeboat.vault_path()
        self.lifeboat.config.write_text(
            f"vault: {self.folder}/vault\n{self.KEY.replace('{folder}', str(self.folder))}"
            "postgres:\n  url: postgresql://lifeboat@127.0.0.1:1/postgres\n")
        made = self.lifeboat.run("init")
        self.assertTrue((self.vault / "vault").exists(), made)
        self.maker = Maker(self.vault, self.opened())
        self.files = {f"base/{n}": self.random.randbytes(2000 + n) for n in range(8)}
        snapshot, self.packs = self.maker.snapshot(self.files)
        self.logs = [self.maker.logbook(1, n, 100 * n, self.random.randbytes(100)) for n in range(3)]
        self.maker.point(FIRST, snapshot, [{"log": LOG, "position": 50, "until": 150}])

    def verify(self, *words, code=0):
        ended = self.lifeboat.run("verify", "--json", *words)
        self.assertEqual(ended.code, code, ended)
        return ended.json()

    def failed(self, *words):
        return self.verify(*words, code=harness.CORRUPT)

    def proof(self, id=FIRST):
        points = self.lifeboat.run("points", "--json").json()["points"]
        return {point["id"]: point["proof"] for point in points}[id]

    def flip(self, name, at=None):
        """Changes one bit; gives the whole bytes."""
        path = self.vault / name
        whole = path.read_bytes()
        at = 24 + self.random.randrange(20) if at is None else at
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        return whole

    def proofs(self):
        return harness.vault_objects(self.vault / "proofs")

    def test_each_depth_proves_its_own(self):
        self.assertEqual(self.proof(), {"state": "never", "existence": None, "sample": None, "data": None})
        self.assertRegex(self.lifeboat.run("points").out, rf"{FIRST} .* never ")
        self.assertRegex(self.lifeboat.run("status").out, r"proven +never: `lifeboat verify`")
        for words, proven, depth in (([], 1, "existence"), (["--sample", "10%"], 2, "sample"),
                                     (["--data"], 3, "data")):
            told = self.verify(*words)
            self.assertEqual((told["verdict"], told["depth"]), ("VERIFIED", depth))
            self.assertEqual(told["results"], [{"id": FIRST, "verdict": "VERIFIED", "what": ""}])
            proof = self.proof()
            self.assertEqual(proof["state"], "VERIFIED")
            times = [proof[name] for name in ("existence", "sample", "data")]
            self.assertEqual([bool(time) for time in times], [n < proven for n in range(3)])
            self.assertRegex(self.lifeboat.run("points").out, rf"{FIRST} .* {depth} .* ago")
            read = told["bytes"] / told["total_bytes"]
            bounds = {"existence": (0, 0), "sample": (0.1, 0.5), "data": (1, 1)}[depth]
            self.assertTrue(bounds[0] <= read <= bounds[1], told)
        self.assertRegex(self.lifeboat.run("status").out, r"proven +data .* ago")
        shown = self.lifeboat.run("verify", "--sample", "10%")
        self.assertRegex(shown.out, r"VERIFIED: .* read \(\d+.* %\), seed \d+")
        # A point that came later has not been proven by it.
        self.maker.point(SECOND, self.maker.snapshot({"x": b"x"})[0])
        self.assertEqual(self.proof(SECOND)["state"], "never")
        self.assertTrue(self.proof()["data"])
        self.assertRegex(self.lifeboat.run("status").out, r"proven +never")
        self.verify("--data", "--point", SECOND)
        self.assertTrue(self.proof(SECOND)["data"])
        run = self.lifeboat.run("points", "--json").json()["verified"][0]
        self.assertEqual((run["depth"], run["point"], run["verdict"]), ("data", SECOND, "VERIFIED"))

    def test_a_damaged_chunk(self):
        name = self.packs["base/3"]
        self.verify()
        whole = self.flip(name)
        self.verify()  # it is there
        (damage,) = self.failed("--data")["damages"]
        self.assertEqual((damage["object"], damage["kind"], damage["points"]), (name, "pack", [FIRST]))
        self.assertIn("(postgres-base) file base/3", damage["hits"][0])
        for word in ("lifeboat backup", f"prune --drop {FIRST}"):
            self.assertIn(word, damage["next"])
        proof = self.proof()
        self.assertEqual((proof["state"], proof["depth"]), ("FAILED", "data"))
        self.assertRegex(self.lifeboat.run("points").out, rf"{FIRST} .* FAILED .* ago \(data\)")
        self.assertIn("FAILED", self.lifeboat.run("status").out)
        # What is known to be damaged is read again, however deep one looks.
        self.assertEqual(self.failed()["damages"][0]["object"], name)
        self.failed("--point", FIRST)
        self.maker.put(name, whole)
        self.verify()
        self.assertEqual(self.proof()["state"], "FAILED")  # by a run that was deeper
        self.verify("--data")
        self.assertEqual(self.proof()["state"], "VERIFIED")

    def test_a_second_copy_of_the_chunk(self):
        self.flip(self.packs["base/3"])
        self.maker.pack(self.files["base/3"])
        for words in (["--data"], ["--data", "--point", FIRST], []):
            told = self.failed(*words)
            self.assertEqual(told["damages"][0]["points"], [])
            self.assertIn("nothing is lost", told["damages"][0]["next"])
            self.assertEqual(told["results"][0]["verdict"], "VERIFIED")

    def test_a_pack_whose_footer_cannot_be_read(self):
        self.maker.point(SECOND, self.maker.snapshot({"x": b"x"})[0])
        with open(self.lifeboat.config, "a", encoding="utf-8") as config:
            config.write("retention: {keep_last: 5, grace: 1s}\n")
        name = self.packs["base/4"]
        path = self.vault / name
        whole = path.read_bytes()
        for kept in (whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:], whole[:500], b""):
            with self.subTest(kept=len(kept), of=len(whole)):
                path.write_bytes(kept)
                for words in ([], ["--data"]):
                    told = self.failed(*words)
                    (damage,) = told["damages"]
                    self.assertEqual((damage["object"], damage["points"]), (name, [FIRST]))
                    self.assertIn("(postgres-base) file base/4", damage["hits"][0])
                    self.assertIn("lifeboat backup", damage["next"])
                    verdicts = {result["id"]: result["verdict"] for result in told["results"]}
                    self.assertEqual(verdicts, {FIRST: "FAILED", SECOND: "VERIFIED"})
                self.assertEqual(self.proof(SECOND)["state"], "VERIFIED")
                self.assertEqual(self.lifeboat.run("prune", "--wait").code, 0)
                self.assertTrue(path.exists(), "a point needs what may lie in it")
        # What it held was stored anew: nothing is lost, and it goes.
        self.maker.pack(self.files["base/4"])
        told = self.failed("--data")
        self.assertEqual([damage["points"] for damage in told["damages"]], [[]])
        self.assertEqual({result["verdict"] for result in told["results"]}, {"VERIFIED"})
        self.assertEqual(self.lifeboat.run("prune", "--wait").code, 0)
        self.assertFalse(path.exists())
        self.verify("--data")

    def test_what_is_missing(self):
        name = self.packs["base/5"]
        whole = (self.vault / name).read_bytes()
        (self.vault / name).unlink()
        (damage,) = self.failed()["damages"]
        self.assertEqual((damage["kind"], damage["points"]), ("chunk", [FIRST]))
        self.assertIn("file base/5", damage["hits"][0])
        self.maker.put(name, whole)
        (self.vault / self.logs[2]).unlink()  # beyond what the point needs to be whole: the log's end
        self.verify()
        (self.vault / self.logs[0]).unlink()
        ranges = [d for d in self.failed()["damages"] if d["kind"] == "range"]
        self.assertEqual([d["object"] for d in ranges], [f"{LOG} [50, 100)"])
        self.assertEqual(ranges[0]["points"], [FIRST])

    def test_a_damaged_range_of_a_log(self):
        self.flip(self.logs[1])
        self.verify()
        for words in (["--data"], ["--data", "--point", FIRST], []):
            (damage,) = self.failed(*words)["damages"]
            self.assertEqual((damage["object"], damage["kind"]), (self.logs[1], "logbook"))
            self.assertEqual(damage["points"], [FIRST])
            self.assertEqual(damage["hits"], [f"log {LOG} [100, 200)", f"point {FIRST}"])
            self.assertIn("lifeboat backup", damage["next"])
        self.maker.logbook(2, 0, 90, self.random.randbytes(200))
        (damage,) = self.failed("--data")["damages"]
        self.assertEqual((damage["points"], self.proof()["state"]), ([], "VERIFIED"))
        self.assertIn("nothing is lost", damage["next"])

    def test_lists_roots_and_points(self):
        for name in (self.packs[None], f"points/{FIRST}",
                     *(str(path.relative_to(self.vault))
                       for path in harness.vault_objects(self.vault / "snapshots"))):
            with self.subTest(name=name):
                whole = self.flip(name)
                told = self.failed()
                self.assertIn(name, {damage["object"] for damage in told["damages"]})
                self.assertEqual(told["results"][0]["verdict"], "FAILED")
                self.maker.put(name, whole)
                self.verify("--data")

    def test_what_a_point_needs_that_cannot_be_read_is_not_known(self):
        self.flip(self.packs[None])
        name = self.packs["base/3"]
        self.flip(name)
        damages = {damage["object"]: damage for damage in self.failed("--data")["damages"]}
        self.assertEqual((damages[name]["points"], damages[name]["unknown"]), ([], [FIRST]))
        self.assertNotIn("nothing is lost", damages[name]["next"])
        self.assertIn(f"not known whether point {FIRST} needs this", damages[name]["next"])
        self.assertEqual(damages[self.packs[None]]["points"], [FIRST])
        self.assertIn(f"may cost points {FIRST}", self.lifeboat.run("verify", "--data").out)
        # So nothing goes, and prune says why.
        with open(self.lifeboat.config, "a", encoding="utf-8") as config:
            config.write("retention: {keep_last: 5, grace: 1s}\n")
        for words in (["--dry-run"], []):
            ended = self.lifeboat.run("prune", *words)
            self.assertEqual(ended.code, harness.CORRUPT, ended)
            self.assertRegex(ended.out, rf"{FIRST} +kept")
            self.assertIn(f"what point {FIRST} needs is not known", ended.err)
            self.assertEqual(ended.err.count(self.packs[None]), 1)
        self.assertTrue((self.vault / name).exists())

    def test_a_sample_reads_on_until_all_was_read(self):
        bad = self.random.choice(list(self.packs.values()) + self.logs)
        whole = self.flip(bad)
        seeds, found = set(), False
        for _ in range(6):
            ended = self.lifeboat.run("verify", "--sample", "20%", "--json")
            told = ended.json()
            seeds.add(told["seed"])
            self.assertGreaterEqual(told["bytes"], 0.15 * told["total_bytes"])
            self.assertLess(told["bytes"], told["total_bytes"])
            found = found or bad in {damage["object"] for damage in told["damages"]}
            self.assertEqual(found, ended.code == harness.CORRUPT, ended)
        self.assertTrue(found)
        self.assertEqual(len(seeds), 1)
        self.maker.put(bad, whole)
        self.verify("--sample", "20%")
        # The same seed begins the same turn.
        again = [self.verify("--sample", "1%", "--seed", "7")["bytes"] for _ in range(2)]
        self.assertEqual(again[0], again[1])
        self.verify("--sample", "5%", "--point", FIRST)

    def test_samples_that_have_gone_round(self):
        for runs in range(1, 8):
            self.verify("--sample", "20%")
            whole = self.proof().get("whole")
            if whole:
                break
        self.assertIn(runs, range(2, 6))
        self.assertLess(whole["from"], whole["to"])
        days = [whole[side][:10] for side in ("from", "to")]
        shown = [whole[side][: 16 if days[0] == days[1] else 10] for side in ("from", "to")]
        for verb in ("points", "status"):
            self.assertIn("all data between {} and {}".format(*shown), self.lifeboat.run(verb).out)
        self.verify()
        self.assertEqual(self.proof()["whole"], whole)
        # What it needs lies elsewhere now, perhaps in what this turn has read already.
        (self.vault / self.packs["base/1"]).unlink()
        self.maker.pack(self.files["base/1"])
        self.verify("--sample", "20%")
        self.assertEqual(self.proof()["whole"], whole)
        for _ in range(6):
            self.verify("--sample", "20%")
        self.assertGreater(self.proof()["whole"]["from"], whole["to"])
        (record,) = self.proofs()
        self.assertLess(record.stat().st_size, 6000)

    def test_run_verifies_on_schedule(self):
        port = harness.unused_port()
        with open(self.lifeboat.config, "a", encoding="utf-8") as config:
            config.write("point_every: never\nverify: {every: 1s, sample: 30%}\n"
                         f"metrics: {{listen: 127.0.0.1:{port}}}\n")
        running = self.lifeboat.start("run")
        self.addCleanup(harness.end, running)
        harness.until(lambda: self.proof().get("whole"), "samples have gone round")
        bad = self.packs["base/6"]
        self.flip(bad)
        harness.until(lambda: self.proof()["state"] == "FAILED", "the damage is found")
        harness.until(lambda: f"damaged pack {bad}" in running.log.read_text(), "it is in the log")
        self.assertIn("next: run `lifeboat backup`", running.log.read_text())

        def metrics():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                return answer.read().decode().splitlines()

        harness.until(lambda: "lifeboat_failed_points 1" in metrics(), "the metrics say so")
        self.assertIn("lifeboat_verify_damages 1", metrics())
        running.terminate()
        self.assertEqual(running.wait(timeout=harness.PATIENCE), 0, running.log.read_text())

    def test_several_at_once_and_killed_ones(self):
        for _ in range(3):
            running = [self.lifeboat.start("verify", *words)
                       for words in (["--data"], ["--sample", "50%"], [], ["--point", FIRST])]
            for process in running:
                self.addCleanup(harness.end, process)
            harness.kill(self.random.choice(running))
            for process in running:
                self.assertIn(process.wait(timeout=harness.PATIENCE), (0, -9))
        self.verify("--data")
        self.assertEqual(len(self.proofs()), 1)
        self.assertTrue(self.proof()["data"])

    def test_a_broken_record_costs_nothing_but_itself(self):
        self.verify("--data")
        (record,) = self.proofs()
        self.flip(str(record.relative_to(self.vault)), 30)
        self.assertEqual(self.proof()["state"], "never")
        (damage,) = self.failed()["damages"]
        self.assertEqual((damage["kind"], damage["points"]), ("proof", []))
        self.failed("--data")  # it proves all anew, and removes it
        self.assertFalse(record.exists())
        self.assertEqual(self.verify()["damages"], [])
        self.assertTrue(self.proof()["data"])

    def test_what_prune_drops_is_forgotten(self):
        self.maker.point(SECOND, self.maker.snapshot({"x": b"x"})[0])
        self.verify("--data")
        with open(self.lifeboat.config, "a", encoding="utf-8") as config:
            config.write("retention: {keep_last: 1, grace: 1s}\n")
        pruned = self.lifeboat.run("prune", "--wait")
        self.assertEqual(pruned.code, 0, pruned)
        self.assertEqual(len(self.proofs()), 1)
        told = self.verify("--data")
        self.assertEqual([result["id"] for result in told["results"]], [SECOND])

    def test_a_vault_that_may_not_be_written(self):
        for path in [self.folder, self.vault, *self.vault.rglob("*"), *self.folder.glob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        drop = (lambda: os.setuid(65534)) if os.geteuid() == 0 else None
        if drop is None:
            self.vault.chmod(0o555)
            self.addCleanup(self.vault.chmod, 0o755)
        ended = self.lifeboat.run("verify", "--data", "--json", preexec=drop)
        self.assertEqual((ended.code, ended.json()["verdict"]), (0, "VERIFIED"), ended)
        self.assertEqual(ended.json()["kept"], "")
        self.assertTrue(ended.json()["not_kept"])
        self.assertEqual(self.proof()["state"], "never")

    def test_what_cannot_be_read_is_kept_as_such(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to read as somebody else")
        self.maker.point(SECOND, self.maker.snapshot({"x": b"x"})[0])
        with open(self.lifeboat.config, "a", encoding="utf-8") as config:
            config.write("retention: {keep_last: 5, grace: 1s}\n")
        for path in [self.folder, self.vault, *self.vault.rglob("*"), *self.folder.glob("*")]:
            os.chown(path, 65534, 65534)
        os.chown(self.vault / self.packs["base/2"], 0, 0)
        (self.vault / self.packs["base/2"]).chmod(0o600)
        for words in ([], ["--data"]):
            ended = self.lifeboat.run("verify", "--json", *words, preexec=lambda: os.setuid(65534))
            self.assertEqual(ended.code, harness.COULD_NOT_VERIFY, ended)
            told = ended.json()
            self.assertIn(self.packs["base/2"], told["unchecked"][0])
            self.assertEqual((len(told["unchecked"]), told["damages"]), (1, []))
            self.assertTrue(told["kept"], ended)
            results = {result["id"]: result for result in told["results"]}
            self.assertIn("file base/2", results[FIRST]["what"])
            self.assertEqual(results[SECOND]["verdict"], "VERIFIED")
        pruned = self.lifeboat.run("prune", "--wait", preexec=lambda: os.setuid(65534))
        self.assertEqual(pruned.code, 0, pruned)
        self.assertEqual(self.proof()["state"], "COULD NOT VERIFY")
        self.assertIn("COULD NOT VERIFY", self.lifeboat.run("points").out)


class Plain(Verify, unittest.TestCase):
    KEY = ""

    def opened(self):
        return None


class Encrypted(Verify, unittest.TestCase):
    KEY = "vault_key: {key_file: {folder}/key}\n"  # a passphrase would take its time

    def opened(self):
        (path,) = (self.vault / "keys").iterdir()
        digits = "".join(line for line in (self.folder / "key").read_text().splitlines()
                         if not line.startswith("#"))
        key = sealed_vault.unwrap(f"keys/{path.name}", path.read_bytes(),
                                  key_file=bytes.fromhex("".join(digits.split())))
        return SealedVault(self.vault, key)


if __name__ == "__main__":
    unittest.main()
