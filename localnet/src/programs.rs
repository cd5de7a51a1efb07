//! Puts SBF programs on the chain as an upgradeable loader would have: a program account and its program data account.

use std::path::Path;

use solana_loader_v3_interface::get_program_data_address;
use solana_pubkey::Pubkey;
use surfpool_core::{solana_account::Account, surfnet::svm::SurfnetSvm};

/// `BPFLoaderUpgradeab1e11111111111111111111111`
pub const LOADER: Pubkey = Pubkey::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");

/// The header of a program data account in the loader's encoding: tag 3, the slot of deployment, no upgrade authority.
const PROGRAM_DATA_HEADER: usize = 4 + 8 + 1 + 32;

/// Installs the program, unless the very same bytes are there already. Returns whether it wrote.
pub fn install(svm: &mut SurfnetSvm, id: &Pubkey, file: &Path) -> Result<bool, String> {
    let elf = std::fs::read(file).map_err(|error| error.to_string())?;
    if !elf.starts_with(b"\x7fELF") {
        return Err("the file is not an ELF object".into());
    }
    let data_address = get_program_data_address(id);
    // A program is in memory only if its code was verified; one whose data alone is there was interrupted on its way.
    let loaded = svm.inner.get_account_no_db(id).is_some_and(|account| account.executable);
    let data = svm.inner.get_account_no_db(&data_address);
    if loaded && data.is_some_and(|account| account.data.get(PROGRAM_DATA_HEADER..) == Some(&elf[..])) {
        return Ok(false);
    }

    let mut data = Vec::with_capacity(PROGRAM_DATA_HEADER + elf.len());
    data.extend_from_slice(&3u32.to_le_bytes());
    data.extend_from_slice(&svm.get_latest_absolute_slot().to_le_bytes());
    data.resize(PROGRAM_DATA_HEADER, 0);
    data.extend_from_slice(&elf);
    let mut program = 2u32.to_le_bytes().to_vec();
    program.extend_from_slice(data_address.as_ref());

    // The program account comes last: storing it is what loads and verifies the code.
    for (address, data, executable) in [(data_address, data, false), (*id, program, true)] {
        let account = Account {
            lamports: svm.inner.minimum_balance_for_rent_exemption(data.len()),
            data,
            owner: LOADER,
            executable,
            rent_epoch: u64::MAX,
        };
        svm.set_account(&address, account).map_err(|error| error.to_string())?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use surfpool_core::surfnet::{noop_program::NOOP_PROGRAM_ELF, svm::SurfnetSvmConfig};

    use super::*;

    const ID: Pubkey = Pubkey::new_from_array([7; 32]);

    fn chain() -> SurfnetSvm {
        SurfnetSvm::new_with_db(Some(":memory:"), SurfnetSvmConfig::default()).unwrap().0
    }

    #[test]
    fn a_program_is_written_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, NOOP_PROGRAM_ELF).unwrap();
        let mut svm = chain();
        assert!(install(&mut svm, &ID, file.path()).unwrap());
        assert!(!install(&mut svm, &ID, file.path()).unwrap());
        assert!(svm.inner.get_account(&ID).unwrap().unwrap().executable);
    }

    #[test]
    fn an_installation_that_stopped_halfway_is_finished() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, NOOP_PROGRAM_ELF).unwrap();
        let mut svm = chain();
        install(&mut svm, &ID, file.path()).unwrap();
        svm.inner.delete_account(&ID).unwrap();
        assert!(install(&mut svm, &ID, file.path()).unwrap());
        assert!(svm.inner.get_account(&ID).unwrap().unwrap().executable);
    }
}
