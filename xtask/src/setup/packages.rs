//! Debian packages: what compiling the workspace and running its tests use.

use crate::{
    process::{on_path, succeeds},
    progress::Step,
};
use anyhow::{Result, bail};
use std::{fs, path::Path, process::Command};

/// A package, what it is for, and whether what it brings is there, from Debian or from elsewhere.
struct Package {
    name: &'static str,
    purpose: &'static str,
    present: fn() -> bool,
}

const PACKAGES: [Package; 5] = [
    Package {
        name: "build-essential",
        purpose: "the C parts of openssl-sys, libsqlite3-sys, zstd-sys, lz4-sys, secp256k1-sys and ring",
        present: || ["cc", "c++", "make"].iter().all(|program| on_path(program).is_some()),
    },
    Package {
        name: "perl",
        purpose: "the configuration script of OpenSSL, which surfpool compiles in",
        // The essential package perl-base has the program without these modules.
        present: || succeeds("perl", &["-MIPC::Cmd", "-MFile::Compare", "-MFindBin", "-e", "1"]),
    },
    Package {
        name: "ca-certificates",
        purpose: "downloads",
        present: || Path::new("/etc/ssl/certs/ca-certificates.crt").is_file(),
    },
    Package { name: "postgresql", purpose: "tests start their own PostgreSQL", present: postgresql },
    Package {
        name: "redis-server",
        purpose: "tests start their own Redis",
        present: || on_path("redis-server").is_some(),
    },
];

fn postgresql() -> bool {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    debian.map(|version| version.path().join("bin/initdb")).any(|initdb| initdb.is_file())
        || on_path("initdb").is_some()
}

/// Installs the packages that are missing.
pub fn install(step: &Step) -> Result<String> {
    let missing: Vec<&Package> = PACKAGES.iter().filter(|package| !(package.present)()).collect();
    if missing.is_empty() {
        return Ok("present".to_owned());
    }
    for package in &missing {
        step.working(&format!("{} is missing: {}", package.name, package.purpose));
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    apt_install(step, &names)?;
    Ok(format!("installed {}", names.join(", ")))
}

/// `apt-get install` as root or through sudo.
pub fn apt_install(step: &Step, names: &[&str]) -> Result<()> {
    let by_hand = format!("install these packages by hand: {}", names.join(" "));
    if on_path("apt-get").is_none() {
        bail!("this machine has no apt-get; {by_hand}");
    }
    let root = succeeds("sh", &["-c", "test $(id -u) = 0"]);
    if !root && on_path("sudo").is_none() {
        bail!("neither root nor sudo; {by_hand}");
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.arg("env");
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]).args(args);
        crate::process::run(&mut command)
    };
    step.working("apt-get update");
    apt(&["update"])?;
    step.working(&format!("apt-get install {}", names.join(" ")));
    apt(&[&["install", "-y", "--no-install-recommends"], names].concat())
}
