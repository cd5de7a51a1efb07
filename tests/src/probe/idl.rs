//! What the committed interface descriptions say about a call: the names of its accounts and where its integers are.

use anchor_lang::prelude::Pubkey;
use serde_json::Value;

/// The programs whose descriptions are committed.
pub const PROGRAMS: [&str; 3] = ["coin", "market", "settlement"];

/// The descriptions of all programs.
pub struct Idls(Vec<(Pubkey, Value)>);

/// One instruction of one program.
#[derive(Clone, Copy)]
pub struct Described<'a> {
    program: &'a Value,
    instruction: &'a Value,
}

impl Idls {
    /// Reads `idls/*.json`.
    ///
    /// # Panics
    /// When one is absent or no description.
    #[must_use]
    pub fn load() -> Self {
        let read = |name: &str| {
            let path = format!("{}/../idls/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let program: Value = serde_json::from_str(&text).unwrap();
            (text_of(&program["address"]).parse().unwrap(), program)
        };
        Self(PROGRAMS.iter().map(|name| read(name)).collect())
    }

    /// The description of a call, `None` for another program or an instruction that is not described.
    #[must_use]
    pub fn instruction(&self, program: &Pubkey, data: &[u8]) -> Option<Described<'_>> {
        let (_, idl) = self.0.iter().find(|(id, _)| id == program)?;
        let discriminator = data.get(..8)?;
        let named = |instruction: &&Value| bytes_of(&instruction["discriminator"]) == discriminator;
        let instruction = idl["instructions"].as_array()?.iter().find(named)?;
        Some(Described { program: idl, instruction })
    }

    /// The fields of accounts that hold a key with a power of its own, as `Account.field`.
    #[must_use]
    pub fn authority_fields(&self) -> Vec<String> {
        const POWERS: [&str; 9] =
            ["authorit", "pending", "admin", "params", "pause", "resume", "slasher", "reporters", "delegate"];
        let mut found = Vec::new();
        for (_, program) in &self.0 {
            for account in program["accounts"].as_array().into_iter().flatten() {
                let name = text_of(&account["name"]);
                let types = program["types"].as_array().into_iter().flatten();
                let fields = types
                    .filter(|known| text_of(&known["name"]) == name)
                    .flat_map(|known| known["type"]["fields"].as_array().cloned().unwrap_or_default());
                for field in fields {
                    let kind = field["type"].to_string();
                    let field = text_of(&field["name"]).to_owned();
                    let holds_keys =
                        ["pubkey", "Authorities", "PendingAuthority"].iter().any(|word| kind.contains(word));
                    if holds_keys && POWERS.iter().any(|power| field.contains(power)) {
                        found.push(format!("{name}.{field}"));
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Every described instruction.
    pub fn all(&self) -> impl Iterator<Item = Described<'_>> {
        self.0.iter().flat_map(|(_, program)| {
            program["instructions"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |instruction| Described { program, instruction })
        })
    }
}

impl Idls {
    /// `program::Type` of an account.
    #[must_use]
    pub fn account(&self, owner: &Pubkey, data: &[u8]) -> Option<String> {
        let (program, account) = self.account_of(owner, data)?;
        Some(format!("{}::{}", name_of(program), text_of(&account["name"])))
    }

    /// The program of an account and the account's description.
    fn account_of(&self, owner: &Pubkey, data: &[u8]) -> Option<(&Value, &Value)> {
        let (_, program) = self.0.iter().find(|(id, _)| id == owner)?;
        let discriminator = data.get(..8)?;
        let described = |account: &&Value| bytes_of(&account["discriminator"]) == discriminator;
        Some((program, program["accounts"].as_array()?.iter().find(described)?))
    }

    /// Where the keys, hashes and numbers are that tell an account from others of its type; `None` for an account of
    /// another program.
    #[must_use]
    pub fn identity(&self, owner: &Pubkey, data: &[u8]) -> Option<Vec<(usize, usize)>> {
        let (program, account) = self.account_of(owner, data)?;
        let kind = serde_json::json!({ "defined": { "name": account["name"] } });
        let mut walk = Walk { types: &program["types"], data, at: 8, found: Vec::new() };
        // An account may be longer than what is described, and a type unknown to the walk ends it: what was found counts.
        let _ = walk.value("args", &kind);
        let tells = |field: &Field| field.is_key || IDENTITIES.contains(&field.name.as_str());
        Some(walk.found.iter().filter(|field| tells(field)).map(|field| (field.at, field.length)).collect())
    }
}

/// Names of the numbers by which accounts of one type differ.
const IDENTITIES: [&str; 7] = ["id", "epoch", "pricing_epoch", "det_class", "day", "market", "shard"];

impl Described<'_> {
    /// `program::instruction`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}::{}", name_of(self.program), text_of(&self.instruction["name"]))
    }

    /// The names of its accounts in order; those of a group are `group.account`.
    #[must_use]
    pub fn accounts(&self) -> Vec<String> {
        fn walk(accounts: &Value, prefix: &str, names: &mut Vec<String>) {
            for account in accounts.as_array().into_iter().flatten() {
                let name = format!("{prefix}{}", text_of(&account["name"]));
                match account.get("accounts") {
                    Some(group) => walk(group, &format!("{name}."), names),
                    None => names.push(name),
                }
            }
        }
        let mut names = Vec::new();
        walk(&self.instruction["accounts"], "", &mut names);
        names
    }

    /// The integers of 2 to 8 bytes among the arguments in `data`: their names, where they are and how long.
    #[must_use]
    pub fn integers(&self, data: &[u8]) -> Vec<(String, usize, usize)> {
        let mut walk = Walk { types: &self.program["types"], data, at: 8, found: Vec::new() };
        for argument in self.instruction["args"].as_array().into_iter().flatten() {
            if walk.value(text_of(&argument["name"]), &argument["type"]).is_none() {
                break;
            }
        }
        let tested = |field: &Field| !field.is_key && field.length > 1;
        walk.found.into_iter().filter(tested).map(|field| (field.name, field.at, field.length)).collect()
    }
}

/// A number or a key among borsh-encoded values.
struct Field {
    name: String,
    at: usize,
    length: usize,
    /// A public key or 32 bytes.
    is_key: bool,
}

/// Walks the arguments by their types. `None` ends the walk at a type that it does not know.
struct Walk<'a> {
    types: &'a Value,
    data: &'a [u8],
    at: usize,
    found: Vec<Field>,
}

impl Walk<'_> {
    fn value(&mut self, name: &str, kind: &Value) -> Option<()> {
        if let Some(plain) = kind.as_str() {
            return self.plain(name, plain);
        }
        if let Some(inner) = kind.get("option") {
            return if self.byte()? == 0 { Some(()) } else { self.value(name, inner) };
        }
        if let Some(inner) = kind.get("vec") {
            let length = self.length()?;
            return (0..length).try_for_each(|index| self.value(&format!("{name}[{index}]"), inner));
        }
        if let Some(array) = kind.get("array") {
            let length = array[1].as_u64()?;
            if length == 32 && array[0] == "u8" {
                return self.plain(name, "pubkey");
            }
            return (0..length).try_for_each(|index| self.value(&format!("{name}[{index}]"), &array[0]));
        }
        let defined = text_of(&kind["defined"]["name"]);
        let types = self.types.as_array()?;
        let body = &types.iter().find(|known| text_of(&known["name"]) == defined)?["type"];
        match text_of(&body["kind"]) {
            "struct" => body["fields"].as_array()?.iter().try_for_each(|field| {
                let inner = text_of(&field["name"]);
                let path = if name == "args" { inner.to_owned() } else { format!("{name}.{inner}") };
                self.value(&path, &field["type"])
            }),
            // Only enums without data are arguments.
            "enum" => self.byte().map(|_| ()),
            _ => None,
        }
    }

    fn plain(&mut self, name: &str, kind: &str) -> Option<()> {
        let length = match kind {
            "bool" | "u8" | "i8" => 1,
            "u16" | "i16" => 2,
            "u32" | "i32" => 4,
            "u64" | "i64" => 8,
            "u128" | "i128" => 16,
            "pubkey" => 32,
            "string" | "bytes" => self.length()?,
            _ => return None,
        };
        if ["pubkey", "u8", "u16", "u32", "u64", "i64"].contains(&kind) && !name.starts_with('_') {
            self.found.push(Field { name: name.to_owned(), at: self.at, length, is_key: kind == "pubkey" });
        }
        self.at += length;
        (self.at <= self.data.len()).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn length(&mut self) -> Option<usize> {
        let bytes = self.data.get(self.at..self.at + 4)?;
        self.at += 4;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    }
}

fn name_of(program: &Value) -> &str {
    text_of(&program["metadata"]["name"]).trim_start_matches("waybill_")
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn bytes_of(value: &Value) -> Vec<u8> {
    value.as_array().into_iter().flatten().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
}
