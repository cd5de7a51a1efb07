//! The evidence behind this worker's receipts, on disk for as long as an audit may ask for it. One file a receipt in one
//! folder an hour: the oldest hours go when their time is over or the room is full.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use waybill_mechanism::message::Receipt;

use crate::chat::Evidence;

/// How long an audit may ask.
pub const KEPT_HOURS: u64 = 48;
const HOUR_MS: u64 = 3_600_000;

/// Where evidence is kept and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveConfig {
    pub folder: PathBuf,
    /// Bytes of records, file system overhead not counted.
    pub max_bytes: u64,
}

impl ArchiveConfig {
    /// With room for about 8 million tokens.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), max_bytes: 1 << 30 }
    }
}

/// Records by receipt hash.
#[derive(Debug)]
pub struct Archive {
    config: ArchiveConfig,
    /// Bytes kept, by hour of the receipts' end.
    hours: Mutex<BTreeMap<u64, u64>>,
}

impl Archive {
    /// Opens the folder, made if absent, and counts what is there.
    pub fn open(config: ArchiveConfig) -> io::Result<Self> {
        fs::create_dir_all(&config.folder)?;
        let mut hours = BTreeMap::new();
        for entry in fs::read_dir(&config.folder)? {
            let entry = entry?;
            let Some(hour) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let mut bytes = 0;
            for record in fs::read_dir(entry.path())? {
                bytes += record?.metadata()?.len();
            }
            hours.insert(hour, bytes);
        }
        Ok(Self { config, hours: Mutex::new(hours) })
    }

    /// Keeps a receipt's record. It is in the page cache when this returns, so it outlives the process; a write of a few
    /// kilobytes is far below the work that the receipt is for.
    pub fn keep(&self, receipt: &Receipt, evidence: &Evidence) -> io::Result<()> {
        let hour = receipt.t_end_ms / HOUR_MS;
        let bytes = evidence.as_bytes();
        self.make_room(hour, bytes.len() as u64)?;
        let path = self.path(receipt);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, bytes)
    }

    /// The record of a receipt; `None` when it is not kept (any more).
    pub fn find(&self, receipt: &Receipt) -> io::Result<Option<Evidence>> {
        match fs::read(self.path(receipt)) {
            Ok(bytes) => Ok(Evidence::from_bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self, receipt: &Receipt) -> PathBuf {
        self.folder(receipt.t_end_ms / HOUR_MS).join(hex::encode(receipt.hash()))
    }

    fn folder(&self, hour: u64) -> PathBuf {
        self.config.folder.join(hour.to_string())
    }

    /// Drops hours that are over, and the oldest ones until `bytes` more fit. The present hour itself is never dropped.
    fn make_room(&self, hour: u64, bytes: u64) -> io::Result<()> {
        let mut hours = self.hours.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let kept: u64 = hours.values().sum();
            let Some((&oldest, _)) = hours.first_key_value() else { break };
            let is_over = oldest.saturating_add(KEPT_HOURS) < hour;
            let is_full = kept.saturating_add(bytes) > self.config.max_bytes && oldest < hour;
            if !is_over && !is_full {
                if kept.saturating_add(bytes) > self.config.max_bytes {
                    return Err(io::Error::other(format!(
                        "the evidence of one hour is more than the {} bytes allowed for all",
                        self.config.max_bytes
                    )));
                }
                break;
            }
            if is_full && !is_over {
                tracing::warn!(hour = oldest, "evidence is dropped before its time: give the archive more room");
            }
            remove(&self.folder(oldest))?;
            hours.remove(&oldest);
        }
        *hours.entry(hour).or_default() += bytes;
        Ok(())
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn receipt(hour: u64, seq: u32) -> Receipt {
        Receipt {
            flags: 0,
            det_class: 1,
            domain: *b"testtest",
            epoch: 1,
            seq,
            gateway: [1; 32],
            worker: [2; 32],
            line_key: [3; 32],
            artifact: [4; 32],
            request_hash: [5; 32],
            input_hash: [6; 32],
            output_hash: [7; 32],
            evidence_hash: [8; 32],
            units_in: 1,
            units_out: 1,
            price_nc: 1,
            cum_nc: 1,
            t_start_ms: 0,
            t_end_ms: hour * HOUR_MS,
        }
    }

    fn evidence(positions: usize) -> Evidence {
        Evidence::from_bytes(vec![7; 132 * positions]).unwrap()
    }

    #[test]
    fn a_record_outlives_the_process_and_goes_after_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let config = ArchiveConfig::new(folder.path());
        let archive = Archive::open(config.clone()).unwrap();
        archive.keep(&receipt(100, 0), &evidence(2)).unwrap();
        let again = Archive::open(config).unwrap();
        assert_eq!(again.find(&receipt(100, 0)).unwrap(), Some(evidence(2)));
        assert_eq!(again.find(&receipt(100, 1)).unwrap(), None, "another receipt");
        again.keep(&receipt(100 + KEPT_HOURS, 0), &evidence(1)).unwrap();
        assert!(again.find(&receipt(100, 0)).unwrap().is_some(), "the last hour in which it can be asked for");
        again.keep(&receipt(101 + KEPT_HOURS, 0), &evidence(1)).unwrap();
        assert_eq!(again.find(&receipt(100, 0)).unwrap(), None);
    }

    #[test]
    fn the_oldest_hours_make_room_and_the_present_one_is_never_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(ArchiveConfig { folder: folder.path().into(), max_bytes: 132 * 5 }).unwrap();
        archive.keep(&receipt(1, 0), &evidence(2)).unwrap();
        archive.keep(&receipt(2, 0), &evidence(2)).unwrap();
        archive.keep(&receipt(3, 0), &evidence(2)).unwrap();
        assert_eq!(archive.find(&receipt(1, 0)).unwrap(), None);
        assert!(archive.find(&receipt(2, 0)).unwrap().is_some());
        archive.keep(&receipt(3, 1), &evidence(3)).unwrap();
        assert_eq!(archive.find(&receipt(2, 0)).unwrap(), None);
        assert!(archive.keep(&receipt(3, 2), &evidence(1)).is_err());
        assert!(archive.find(&receipt(3, 0)).unwrap().is_some());
    }
}
