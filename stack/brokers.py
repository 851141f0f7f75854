"""Kafka's brokers: one or several, with ZooKeeper or KRaft, of two versions, with or without TLS and
SASL."""

import os
import secrets
import subprocess
import time

import certificates
from probes import kafka_metadata, zookeeper_children
from process import Port, StackError
from servers import JavaServer

# What --kafka names, and the version of the jars that it runs.
KINDS = {"3.9-zookeeper": "3.9.1", "3.9": "3.9.1", "4": "4.4.0"}

# Who may log in by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
USER = "lifeboat"
PASSWORD = "not a 'secret' = here!"
SECURE_LISTENERS = ("SSL", "SASL_SSL", "SASL_PLAINTEXT", "BRIEF", "EXPIRED", "ELSEWHERE")
# After it a broker hangs up on who does not log in again, at the listener BRIEF.
BRIEF_SESSION_MS = 6000


class Broker(JavaServer):
    """The first broker of a stack is `kafka` with id 0, the others `kafka-1`, `kafka-2`."""

    heap = "-Xmx256m"

    def __init__(self, folder, earlier, cancelled, kind, broker_id, brokers):
        self.name = "kafka" if broker_id == 0 else f"kafka-{broker_id}"
        super().__init__(folder, earlier, cancelled)
        self.version = KINDS[kind]
        self.broker_id = broker_id
        self.brokers = brokers  # all of the stack, filled by it

    def facts(self):
        return {"bootstrap": f"127.0.0.1:{self.port}", "version": self.version, "id": self.broker_id}

    def _settings(self):
        copies = min(3, len(self.brokers))
        return {
            "log.dirs": self.data,
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "log.retention.hours": 168,
            # Deleting is quick to see where a test asks for it by a topic's own settings.
            "log.retention.check.interval.ms": 2000,
            "log.segment.delete.delay.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "log.cleaner.backoff.ms": 1000,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "num.recovery.threads.per.data.dir": 2}


class Kafka(Broker):
    """A broker under ZooKeeper."""

    heap = "-Xmx640m"

    def __init__(self, folder, earlier, cancelled, kind, broker_id, brokers, zookeeper):
        super().__init__(folder, earlier, cancelled, kind, broker_id, brokers)
        if broker_id > 0:
            self.heap = "-Xmx256m"
        self._zookeeper = zookeeper
        self._ran = False
        self._all_by = None

    def _prepare(self):
        super()._prepare()
        if self._ran or os.path.exists(os.path.join(self.data, "meta.properties")):
            self._wait_until_unregistered()
        self._ran = True

    def _wait_until_unregistered(self):
        """A killed broker's session lives on in ZooKeeper until it times out, and a new broker
        refuses to start beside it ("node already exists and owner does not match")."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            brokers = zookeeper_children(self._zookeeper.port, "/brokers/ids")
            if brokers is not None and str(self.broker_id) not in brokers:
                return
            if self._cancelled.is_set():
                raise StackError(f"{self.name}: start was cancelled")
            time.sleep(0.1)

    def _command(self):
        return self._java("kafka.Kafka", self._write("server.properties", {
            "broker.id": self.broker_id,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "zookeeper.connect": f"127.0.0.1:{self._zookeeper.port}",
            "zookeeper.session.timeout.ms": 6000,
            "zookeeper.connection.timeout.ms": 60000,
            **self._settings()}))

    def start(self):
        self._all_by = None
        try:
            super().start()
        except StackError:
            # On a machine that stands still for seconds its first session may expire in the middle
            # of the start, and the broker gives up.
            if self._cancelled.is_set() or self.running:
                raise
            self._all_by = None
            super().start()

    def _works(self):
        found = kafka_metadata(self.port)
        if found is None or self.broker_id not in found[0]:
            return False
        if len(self.brokers) > 1:
            return True  # a partition may wait for another broker
        # A new broker answers before the controller has told it its topics: clients would hear
        # "unknown topic". A partition may stay without a leader (its disk is broken) under a broker
        # that works, so only a little patience with those.
        self._all_by = self._all_by or time.monotonic() + 20
        known = zookeeper_children(self._zookeeper.port, "/brokers/topics") or []
        return ((set(known) <= set(found[1]) and not any(found[1].values()))
                or time.monotonic() > self._all_by)


class KraftKafka(Broker):
    """A broker under KRaft. The first one of a stack is the controller, too.

    `secure` gives it listeners beside PLAINTEXT: SSL (asks clients for a certificate), SASL_SSL and
    SASL_PLAINTEXT, BRIEF (the same with sessions of some seconds), and two that show a certificate
    which a client must refuse, EXPIRED and ELSEWHERE. Its facts name their ports, the folder of
    certificates.py, and who may log in.
    """

    start_seconds = 360

    def __init__(self, folder, earlier, cancelled, kind, broker_id, brokers, secure=False):
        super().__init__(folder, earlier, cancelled, kind, broker_id, brokers)
        self._id_file = os.path.join(folder, "kafka-cluster-id")
        self._certificates = os.path.join(folder, "certificates") if secure else None
        names = list(SECURE_LISTENERS) if secure else []
        names += ["CONTROLLER"] if broker_id == 0 else []
        ports = earlier.get("ports", {})
        self._ports = {name: Port(ports.get(name)) for name in names}

    @property
    def controller_port(self):
        return self._ports["CONTROLLER"].number

    def facts(self):
        facts = {**super().facts(), "ports": {name: p.number for name, p in self._ports.items()}}
        if self._certificates:
            facts |= {"certificates": self._certificates, "user": USER, "password": PASSWORD,
                      "key_password": certificates.KEY_PASSWORD}
        return facts

    def close(self):
        super().close()
        for port in self._ports.values():
            port.close()

    def _prepare(self):
        super()._prepare()
        if self._certificates:
            certificates.make(self._certificates)
        settings = self._write("server.properties", self._all_settings())
        if os.path.exists(os.path.join(self.data, "meta.properties")):
            return
        users = [word for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512") for word in
                 ("--add-scram", f'{mechanism}=[name="{USER}",password="{PASSWORD}"]')]
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", self._cluster_id(),
                       "-c", settings, *(users if self._certificates else [])),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        if done.returncode != 0:
            raise StackError(f"{self.name}: formatting its disk failed: {done.stdout}")

    def _cluster_id(self):
        """22 characters of URL-safe base64; all brokers of the stack have the same."""
        if not os.path.exists(self._id_file):
            new = f"{self._id_file}.{self.broker_id}"
            with open(new, "w", encoding="ascii") as file:
                # Kafka refuses ids that begin with a dash.
                file.write("L" + secrets.token_urlsafe(16)[1:22])
            try:
                os.link(new, self._id_file)
            except FileExistsError:
                pass
            os.remove(new)
        with open(self._id_file, encoding="ascii") as file:
            return file.read()

    def _command(self):
        return self._java("kafka.Kafka", os.path.join(self.folder, "server.properties"))

    def _all_settings(self):
        ports = {"PLAINTEXT": self.port, **{name: p.number for name, p in self._ports.items()}}
        at = {name: f"{name}://127.0.0.1:{port}" for name, port in ports.items()}
        protocols = {"EXPIRED": "SSL", "ELSEWHERE": "SSL", "BRIEF": "SASL_PLAINTEXT",
                     "CONTROLLER": "PLAINTEXT"}
        names = list(dict.fromkeys([*ports, "CONTROLLER"]))
        settings = {
            "node.id": self.broker_id,
            "process.roles": "broker,controller" if self.broker_id == 0 else "broker",
            "controller.quorum.voters": f"0@127.0.0.1:{self.brokers[0].controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(at.values()),
            "advertised.listeners": ",".join(v for k, v in at.items() if k != "CONTROLLER"),
            "listener.security.protocol.map": ",".join(f"{n}:{protocols.get(n, n)}" for n in names),
            "broker.session.timeout.ms": 6000,
            "broker.heartbeat.interval.ms": 1000,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            **self._settings()}
        return settings | (self._secure_settings() if self._certificates else {})

    def _secure_settings(self):
        folder = self._certificates
        settings = {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                    "ssl.keystore.type": "PEM", "ssl.truststore.type": "PEM",
                    "ssl.keystore.location": os.path.join(folder, "broker.pem"),
                    "ssl.truststore.location": os.path.join(folder, "ca.pem"),
                    "listener.name.ssl.ssl.client.auth": "required"}
        for name in ("expired", "elsewhere"):
            own = os.path.join(folder, f"{name}.pem")
            settings[f"listener.name.{name}.ssl.keystore.location"] = own
        module = "org.apache.kafka.common.security"
        for name in ("sasl_ssl", "sasl_plaintext", "brief"):
            plain = f'{module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            scram = f"{module}.scram.ScramLoginModule required;"
            for mechanism, login in (("plain", plain), ("scram-sha-256", scram),
                                     ("scram-sha-512", scram)):
                settings[f"listener.name.{name}.{mechanism}.sasl.jaas.config"] = login
        for mechanism in ("plain", "scram-sha-256", "scram-sha-512"):
            name = f"listener.name.brief.{mechanism}.connections.max.reauth.ms"
            settings[name] = BRIEF_SESSION_MS
        return settings

    def _works(self):
        found = kafka_metadata(self.port)
        return found is not None and self.broker_id in found[0]
