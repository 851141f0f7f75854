//! Backs up what the given configuration says, once; the peer of `lifeboat_bench_logbook archive`.
use kafka_backup_core::{backup::BackupEngine, Config};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).expect("usage: kafka-backup-peer CONFIG");
    let (config, _) = Config::from_yaml_with_warnings(&std::fs::read_to_string(path)?)?;
    BackupEngine::new(config).await?.run().await?;
    Ok(())
}
