//! The messages of an audit: what a gateway keeps of a finished call, what a verifier is asked to re-execute, and its signed
//! verdict. Fields are only added, never renumbered.

use crate::{frame::Job, signing};
use bytes::Bytes;
use prost::Message;
use solana_keypair::Keypair;
use waybill_mechanism::message::{self, Receipt};

/// What a gateway keeps of a finished call for drawn verifiers: input and output. It is content: sealed at rest, never logged.
#[derive(Clone, PartialEq, Message)]
pub struct Material {
    /// As it went to the worker; its order binds the input.
    #[prost(message, optional, tag = "1")]
    pub job: Option<Job>,
    /// Chat: the generated tokens.
    #[prost(uint32, repeated, tag = "2")]
    pub tokens: Vec<u32>,
    /// Embeddings: row-major f32 little-endian.
    #[prost(bytes = "bytes", tag = "3")]
    pub values: Bytes,
}

impl Material {
    /// Reads what was encoded; `None` for anything else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }
}

/// How a re-execution is compared with what was claimed. Numbered as the determinism classes on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Comparison {
    /// Output and evidence are equal bit by bit.
    Exact = 0,
    /// Every position's logits, or every vector, lie within `tol_ppm` of the claimed ones.
    Tol = 1,
    /// Every token is one that would be drawn, up to margins.
    Text = 2,
}

/// The rule that a verdict applies. Limits of 0 do not limit.
#[derive(Clone, PartialEq, Message)]
pub struct Rule {
    #[prost(enumeration = "Comparison", tag = "1")]
    pub comparison: i32,
    /// Largest relative difference of logits or vector components at any position, in millionths.
    #[prost(uint32, tag = "2")]
    pub tol_ppm: u32,
    /// Largest margin at any position, in millionths of a logit.
    #[prost(uint32, tag = "3")]
    pub margin_micro: u32,
    /// Largest mean margin over all positions, in millionths of a logit.
    #[prost(uint32, tag = "4")]
    pub mean_margin_micro: u32,
    /// Largest mean over all positions of their relative difference of logits, in millionths.
    #[prost(uint32, tag = "5")]
    pub mean_tol_ppm: u32,
}

impl Rule {
    /// The same class of machine: bit by bit.
    pub fn exact() -> Self {
        Self { comparison: Comparison::Exact.into(), ..Self::default() }
    }

    /// A model in fp32 on any machine: 1e-4 of the largest value, and 1e-3 of a logit for a token that is drawn otherwise.
    pub fn tolerance() -> Self {
        Self { comparison: Comparison::Tol.into(), tol_ppm: 100, margin_micro: 1_000, ..Self::default() }
    }

    /// A quantised text model on any machine. The 4-bit SmolLM2-135M, whose activations are quantised as it runs, differs
    /// between AVX-512 and AVX2 by 1.6 to 2.4 % in its logits on average and 6.6 % at most, with mean margins up to 0.007:
    /// the limits leave twice and three times that (`worker/tests/suite/audit.rs` measures it again).
    pub fn quantised_text() -> Self {
        Self {
            comparison: Comparison::Text.into(),
            margin_micro: 1_000_000,
            mean_margin_micro: 20_000,
            mean_tol_ppm: 50_000,
            ..Self::default()
        }
    }
}

/// Scheduler → verifier, `POST /audit`: re-execute this call and say whether the receipt tells the truth.
#[derive(Clone, PartialEq, Message)]
pub struct AuditJob {
    #[prost(message, optional, tag = "1")]
    pub material: Option<Material>,
    /// Receipt of 320 bytes and its worker's signature.
    #[prost(bytes = "bytes", tag = "2")]
    pub receipt: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub worker_signature: Bytes,
    /// The record that the audited worker kept, empty when it gave none. Counts only where the receipt names its hash.
    #[prost(bytes = "bytes", tag = "4")]
    pub evidence: Bytes,
    #[prost(message, optional, tag = "5")]
    pub rule: Option<Rule>,
    /// The chair of an audit on chain that the verifier's node holds; absent where the verdict stays off chain.
    #[prost(message, optional, tag = "6")]
    pub chair: Option<Chair>,
}

/// A chair of an audit on chain.
#[derive(Clone, PartialEq, Message)]
pub struct Chair {
    /// The audit's address, 32 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub audit: Bytes,
    #[prost(uint32, tag = "2")]
    pub number: u32,
}

/// What is wrong with a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Mismatch {
    None = 0,
    /// The units are not those of input and output.
    Units = 1,
    /// The answer ends before an end-of-text token, a stop string or its limit, or goes on after one.
    Truncated = 2,
    /// The tokens that the worker signed are not the text that it signed.
    Text = 3,
    /// The output is not what this model computes.
    Output = 4,
    /// The output may be right, but the evidence is not that of a computation with this model.
    Evidence = 5,
}

impl Mismatch {
    /// The name as it appears in tables and logs.
    pub fn as_str_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Units => "units",
            Self::Truncated => "truncated",
            Self::Text => "text",
            Self::Output => "output",
            Self::Evidence => "evidence",
        }
    }
}

/// Verifier → scheduler: the result of a re-execution, signed with `verdict_message`.
#[derive(Clone, PartialEq, Message)]
pub struct Verdict {
    #[prost(bytes = "bytes", tag = "1")]
    pub verifier: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub receipt_hash: Bytes,
    #[prost(bool, tag = "3")]
    pub passed: bool,
    #[prost(enumeration = "Mismatch", tag = "4")]
    pub mismatch: i32,
    #[prost(enumeration = "Comparison", tag = "5")]
    pub comparison: i32,
    /// What this verifier computed: SHA-256 of its output, and of its evidence under the claimed tokens.
    #[prost(bytes = "bytes", tag = "6")]
    pub output_hash: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub evidence_hash: Bytes,
    /// Tokens or rows compared, and how many came out as claimed.
    #[prost(uint32, tag = "8")]
    pub positions: u32,
    #[prost(uint32, tag = "9")]
    pub agreed: u32,
    /// Margins in logits; 0 for embeddings.
    #[prost(float, tag = "10")]
    pub max_margin: f32,
    #[prost(float, tag = "11")]
    pub mean_margin: f32,
    /// Relative differences of logits or vector components; absent where the worker gave no evidence.
    #[prost(float, optional, tag = "12")]
    pub max_difference: Option<f32>,
    #[prost(float, optional, tag = "13")]
    pub mean_difference: Option<f32>,
    #[prost(bytes = "bytes", tag = "14")]
    pub signature: Bytes,
    /// The node's signature over what the chain takes for its chair; empty where none was named.
    #[prost(bytes = "bytes", tag = "15")]
    pub chain_signature: Bytes,
}

impl Verdict {
    /// Reads what was encoded; `None` for anything else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }

    /// The bytes that the verifier signs: who judged which receipt, how, and what it computed.
    pub fn message(&self, domain: &[u8; 8]) -> Vec<u8> {
        let verdict = [u8::from(self.passed), self.mismatch as u8, self.comparison as u8];
        let hashes = [&self.verifier, &self.receipt_hash, &self.output_hash, &self.evidence_hash];
        let mut message = [b"AI-VERDICT".as_slice(), domain, &verdict].concat();
        hashes.iter().for_each(|hash| message.extend_from_slice(hash));
        message
    }

    /// What the chain takes of this verdict for a chair; `None` when a hash has not 32 bytes.
    pub fn of_chair(&self, domain: &[u8; 8], audit: &[u8; 32], chair: u8) -> Option<message::Verdict> {
        Some(message::Verdict {
            pass: self.passed,
            chair,
            domain: *domain,
            audit: *audit,
            receipt_hash: self.receipt_hash[..].try_into().ok()?,
            output_hash: self.output_hash[..].try_into().ok()?,
            evidence_hash: self.evidence_hash[..].try_into().ok()?,
        })
    }

    /// What the chain takes of this verdict for a chair, where the verifier's node signed exactly that.
    pub fn for_chair(&self, domain: &[u8; 8], audit: &[u8; 32], chair: u8) -> Option<message::Verdict> {
        let node: [u8; 32] = self.verifier[..].try_into().ok()?;
        let message = self.of_chair(domain, audit, chair)?;
        signing::verify(&node, &message.to_bytes(), &self.chain_signature).then_some(message)
    }

    /// Signs what the chain takes for the chair; nothing where the chair is malformed.
    pub fn sign_chair(&mut self, domain: &[u8; 8], chair: &Chair, key: &Keypair) {
        let place = (chair.audit[..].try_into().ok(), u8::try_from(chair.number).ok());
        if let (Some(audit), Some(number)) = place
            && let Some(message) = self.of_chair(domain, &audit, number)
        {
            self.chain_signature = signing::sign(key, &message.to_bytes()).to_vec().into();
        }
    }

    /// Signs it as the verifier.
    pub fn sign(&mut self, domain: &[u8; 8], key: &Keypair) {
        self.signature = signing::sign(key, &self.message(domain)).to_vec().into();
    }

    /// Whether it is `verifier`'s word about this receipt.
    pub fn is_by(&self, verifier: &[u8; 32], receipt: &Receipt, domain: &[u8; 8]) -> bool {
        let has_hashes = self.output_hash.len() == 32 && self.evidence_hash.len() == 32;
        self.verifier[..] == *verifier
            && self.receipt_hash[..] == receipt.hash()
            && has_hashes
            && signing::verify(verifier, &self.message(domain), &self.signature)
    }
}

/// Scheduler → audited worker, `POST /evidence`: give the record of this receipt's positions.
#[derive(Clone, PartialEq, Message)]
pub struct EvidenceRequest {
    /// Receipt of 320 bytes: its hash names the record, its end the hour under which it is kept.
    #[prost(bytes = "bytes", tag = "1")]
    pub receipt: Bytes,
}

/// The record: per position the taken token and the sixteen highest logits, 132 bytes each.
#[derive(Clone, PartialEq, Message)]
pub struct EvidenceRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub record: Bytes,
}

/// The verifier's answer: a verdict, or why there is none.
#[derive(Clone, PartialEq, Message)]
pub struct AuditAnswer {
    #[prost(oneof = "AuditOutcome", tags = "1, 2")]
    pub outcome: Option<AuditOutcome>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AuditOutcome {
    #[prost(message, tag = "1")]
    Verdict(Verdict),
    #[prost(message, tag = "2")]
    Fault(crate::frame::Fault),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use solana_signer::Signer;

    fn receipt() -> Receipt {
        Receipt {
            flags: 0,
            det_class: 1,
            domain: *b"testtest",
            epoch: 1,
            seq: 0,
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
            t_start_ms: 1,
            t_end_ms: 2,
        }
    }

    /// A verdict on [`receipt`], signed for chair 3 of audit 6.
    fn signed(key: &Keypair, domain: &[u8; 8]) -> Verdict {
        let mut verdict = Verdict {
            verifier: key.pubkey().to_bytes().to_vec().into(),
            receipt_hash: receipt().hash().to_vec().into(),
            passed: true,
            output_hash: vec![7; 32].into(),
            evidence_hash: vec![8; 32].into(),
            ..Verdict::default()
        };
        verdict.sign(domain, key);
        verdict.sign_chair(domain, &Chair { audit: vec![6; 32].into(), number: 3 }, key);
        verdict
    }

    #[test]
    fn a_verdict_is_its_verifiers_word_about_one_receipt_and_nothing_else() {
        let (key, domain) = (Keypair::new(), *b"testtest");
        let verifier = key.pubkey().to_bytes();
        let verdict = signed(&key, &domain);
        assert!(verdict.is_by(&verifier, &receipt(), &domain));
        assert!(!verdict.is_by(&verifier, &receipt(), b"elsewher"));
        assert!(!verdict.is_by(&[9; 32], &receipt(), &domain));
        assert!(!verdict.is_by(&verifier, &Receipt { seq: 1, ..receipt() }, &domain));
        let turned = Verdict { passed: false, mismatch: Mismatch::Output.into(), ..verdict.clone() };
        assert!(!turned.is_by(&verifier, &receipt(), &domain), "the signature covers the verdict");
        let other = Verdict { output_hash: vec![9; 32].into(), ..verdict };
        assert!(!other.is_by(&verifier, &receipt(), &domain), "and what was computed");
    }

    #[test]
    fn what_the_chain_takes_is_signed_by_the_node_for_one_chair_of_one_audit_and_nothing_else() {
        let (key, domain) = (Keypair::new(), *b"testtest");
        let verdict = signed(&key, &domain);
        let taken = verdict.for_chair(&domain, &[6; 32], 3).unwrap();
        assert_eq!((taken.pass, taken.chair, taken.audit, taken.receipt_hash), (true, 3, [6; 32], receipt().hash()));
        assert_eq!(taken.to_bytes().len(), 144);
        assert_eq!(verdict.for_chair(&domain, &[6; 32], 4), None, "another chair");
        assert_eq!(verdict.for_chair(&domain, &[5; 32], 3), None, "another audit");
        assert_eq!(verdict.for_chair(b"elsewher", &[6; 32], 3), None, "another network");
        let tampered: [fn(&mut Verdict); 6] = [
            |verdict| verdict.passed = false,
            |verdict| verdict.receipt_hash = vec![9; 32].into(),
            |verdict| verdict.output_hash = vec![9; 32].into(),
            |verdict| verdict.evidence_hash = vec![9; 32].into(),
            |verdict| verdict.verifier = Keypair::new().pubkey().to_bytes().to_vec().into(),
            |verdict| verdict.chain_signature = verdict.signature.clone(),
        ];
        for (case, tamper) in tampered.into_iter().enumerate() {
            let mut other = verdict.clone();
            tamper(&mut other);
            assert_eq!(other.for_chair(&domain, &[6; 32], 3), None, "case {case}");
        }
        let mut unsigned = Verdict { chain_signature: Bytes::new(), ..verdict };
        assert_eq!(unsigned.for_chair(&domain, &[6; 32], 3), None, "no signature at all");
        for chair in [Chair { audit: vec![6; 31].into(), number: 3 }, Chair { audit: vec![6; 32].into(), number: 256 }]
        {
            unsigned.sign_chair(&domain, &chair, &key);
            assert!(unsigned.chain_signature.is_empty(), "a malformed chair is not signed for");
        }
    }
}
