#include "recovery/context.hpp"

#include "base/error.hpp"
#include "recovery/vault_key.hpp"
#include "store/open_store.hpp"
#include "vault/locks.hpp"

namespace lifeboat::recovery {
namespace {

template <typename T>
const T& section(const std::optional<T>& value, const Config& config, const char* name) {
  if (value) return *value;
  throw Error(Code::config, config.file.string(), std::string("has no section '") + name + "'",
              "add it; `lifeboat init --print` shows a commented one");
}

}  // namespace

std::unique_ptr<store::ObjectStore> open_store(const Config& config) {
  const auto& s3 = config.vault.s3;
  if (!s3 || !s3->lock) return store::open_store(config.vault);
  return store::open_store(config.vault, vault::lock_rule(s3->lock->retain));
}

OpenVault open_vault(const Config& config) {
  auto store = std::make_unique<store::MeteredStore>(open_store(config));
  auto key = vault_key(config);
  auto vault = vault::Vault::open(*store, key ? &*key : nullptr);
  return {std::move(store), std::move(vault)};
}

kafka::Config kafka_config(const Config& config) {
  const auto& s = section(config.kafka, config, "kafka");
  kafka::Config out;
  out.bootstrap = s.bootstrap;
  if (s.tls) {
    out.tls = kafka::TlsConfig{s.tls->ca.string(), s.tls->cert.string(), s.tls->key.string(),
                               s.tls->key_password, s.tls->verify_hostname};
  }
  if (s.sasl) {
    using kafka::SaslMechanism;
    for (const auto mechanism :
         {SaslMechanism::plain, SaslMechanism::scram_sha_256, SaslMechanism::scram_sha_512}) {
      if (to_string(mechanism) != s.sasl->mechanism) continue;
      out.sasl = kafka::SaslConfig{mechanism, s.sasl->username, s.sasl->password};
    }
  }
  return out;
}

postgres::Config postgres_config(const Config& config) {
  const auto& s = section(config.postgres, config, "postgres");
  postgres::Config out;
  out.conninfo = s.url;
  out.password = s.password;
  return out;
}

clickhouse::Config clickhouse_config(const Config& config) {
  const auto& s = section(config.clickhouse, config, "clickhouse");
  clickhouse::Config out;
  out.url = s.url;
  out.user = s.user;
  out.password = s.password;
  return out;
}

zookeeper::Config zookeeper_config(const Config& config) {
  zookeeper::Config out;
  out.connect = section(config.zookeeper, config, "zookeeper").connect;
  out.connect_timeout = Millis(8000);
  return out;
}

}  // namespace lifeboat::recovery
