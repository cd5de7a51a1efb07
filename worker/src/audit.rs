//! Re-execution of a receipt on this machine's own model: text by teacher forcing, embeddings by embedding again. The verdict
//! says what differs and by how much; a fault says why there is none, which is never held against the audited worker.

use waybill_mechanism::message::{Receipt, line_key};
use waybill_protocol::{
    SignedReceipt,
    audit::{AuditJob, Comparison, Material, Mismatch, Rule, Verdict},
    frame::{Chat, Embed, Fault, FaultCode, InputKind},
};

use crate::{
    chat::{ChatEngine, ChatEvent, ChatRequest, Evidence, Message, Replay, internal},
    embed::EmbedEngine,
    engines::{Engine, Engines},
    order::{self, Ordered},
    receipt::sha256,
    service::{affordable_units, message, sampling},
    slot::Slot,
};

/// How the chain has re-executions compared. A verifier answers for its verdict with its stake, so it takes nobody's word for
/// the rule.
pub trait Rules: Send + Sync {
    /// The rule of a determinism class for a kind of input; `None` while the chain was not read.
    fn rule(&self, det_class: u16, kind: &InputKind) -> Option<Rule>;
}

/// Refuses a job whose rule is not that of its receipt's class on chain.
pub fn require_rule(rules: &dyn Rules, job: &AuditJob) -> Result<(), Fault> {
    let bad = |what: String| Fault::new(FaultCode::BadInput, what);
    let receipt = Receipt::from_bytes(&job.receipt).map_err(|e| bad(e.to_string()))?;
    let kind = job.material.as_ref().and_then(|material| material.job.as_ref()?.input.as_ref()?.kind.as_ref());
    let kind = kind.ok_or_else(|| bad("no input".into()))?;
    let rule = rules.rule(receipt.det_class, kind);
    let rule =
        rule.ok_or_else(|| internal(format!("class {} is not on chain, as this worker read it", receipt.det_class)))?;
    match &job.rule {
        Some(asked) if *asked == rule => Ok(()),
        _ => Err(bad(format!("the rule is not that of class {} on chain", receipt.det_class))),
    }
}

/// What a re-execution found, before the verifier signs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub mismatch: Mismatch,
    pub comparison: Comparison,
    /// SHA-256 of the output and of the evidence that this machine computes.
    pub output_hash: [u8; 32],
    pub evidence_hash: [u8; 32],
    /// Tokens or rows, and how many came out as claimed.
    pub positions: u32,
    pub agreed: u32,
    /// Largest and mean margin in logits.
    pub margin: (f32, f32),
    /// Largest and mean relative difference; `None` where there is nothing to compare with.
    pub difference: Option<(f32, f32)>,
}

impl Finding {
    /// The verdict on `receipt`, unsigned.
    pub fn into_verdict(self, verifier: [u8; 32], receipt: &Receipt) -> Verdict {
        Verdict {
            verifier: verifier.to_vec().into(),
            receipt_hash: receipt.hash().to_vec().into(),
            passed: self.mismatch == Mismatch::None,
            mismatch: self.mismatch.into(),
            comparison: self.comparison.into(),
            output_hash: self.output_hash.to_vec().into(),
            evidence_hash: self.evidence_hash.to_vec().into(),
            positions: self.positions,
            agreed: self.agreed,
            max_margin: self.margin.0,
            mean_margin: self.margin.1,
            max_difference: self.difference.map(|difference| difference.0),
            mean_difference: self.difference.map(|difference| difference.1),
            signature: bytes::Bytes::new(),
            chain_signature: bytes::Bytes::new(),
        }
    }
}

/// Re-executes what `job` describes, on the engines of this process. `slot` is held while the model works.
pub async fn audit(
    engines: &Engines,
    domain: [u8; 8],
    job: &AuditJob,
    slot: Option<Slot>,
) -> Result<(Receipt, Finding), Fault> {
    let bad = |what: String| Fault::new(FaultCode::BadInput, what);
    let receipt = SignedReceipt::verify_worker(&job.receipt, &job.worker_signature).map_err(|e| bad(e.to_string()))?;
    let material = job.material.as_ref().ok_or_else(|| bad("no material".into()))?;
    let rule = job.rule.as_ref().ok_or_else(|| bad("no rule".into()))?;
    let exact = rule.comparison() == Comparison::Exact;
    let ordered = ordered(material, &receipt, domain)?;
    let engine = engines.get(&ordered.artifact);
    let engine = engine.ok_or_else(|| Fault::new(FaultCode::UnknownModel, ordered.artifact.to_string()))?;
    let case = Case { receipt: &receipt, material, ordered: &ordered, rule };
    let finding = match (&ordered.input.kind, engine) {
        // A rule that limits nothing would pass anything.
        (Some(InputKind::Chat(_)), _) if !exact && rule.margin_micro == 0 && rule.mean_margin_micro == 0 => {
            return Err(bad("the rule bounds no margin".into()));
        }
        (Some(InputKind::Embed(_)), _) if !exact && rule.tol_ppm == 0 => {
            return Err(bad("the rule has no tolerance".into()));
        }
        (Some(InputKind::Chat(chat)), Engine::Chat(engine)) => case.chat(chat, engine, &job.evidence, slot).await?,
        (Some(InputKind::Embed(embed)), Engine::Embed(engine)) => case.embed(embed, engine, slot).await?,
        _ => return Err(bad("the model does not take this kind of input".into())),
    };
    Ok((receipt, finding))
}

/// The job's order, where it is the one that the receipt is for.
fn ordered(material: &Material, receipt: &Receipt, domain: [u8; 8]) -> Result<Ordered, Fault> {
    let bad = |what: &str| Fault::new(FaultCode::BadInput, format!("the material is not the receipt's: other {what}"));
    let job = material.job.as_ref().ok_or_else(|| bad("job"))?;
    let ordered = order::check(job, domain, None)?;
    let line = line_key(&ordered.container.0, ordered.stage, &receipt.worker, &ordered.referrer.0);
    let fields = [
        ("domain", receipt.domain == domain),
        ("gateway", receipt.gateway == ordered.gateway.0),
        ("request", receipt.request_hash == ordered.request_hash),
        ("input", receipt.input_hash == ordered.input_hash),
        ("artifact", receipt.artifact == ordered.artifact.0),
        ("line", receipt.line_key == line),
    ];
    match fields.into_iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(bad(what)),
        None => Ok(ordered),
    }
}

/// One receipt under audit.
struct Case<'a> {
    receipt: &'a Receipt,
    material: &'a Material,
    ordered: &'a Ordered,
    rule: &'a Rule,
}

impl Case<'_> {
    async fn chat(
        &self,
        chat: &Chat,
        engine: &ChatEngine,
        record: &[u8],
        slot: Option<Slot>,
    ) -> Result<Finding, Fault> {
        let claimed = (sha256(record) == self.receipt.evidence_hash && !record.is_empty())
            .then(|| Evidence::from_bytes(record.to_vec()))
            .flatten();
        // The record is signed with the receipt; the gateway's tokens are only the gateway's word.
        let tokens = claimed.as_ref().map_or_else(|| self.material.tokens.clone(), Evidence::tokens);
        let are_signed = claimed.is_some();
        let messages: Vec<Message> = chat.turns.iter().map(message).collect();
        let prompt = engine.prompt(&messages)?;
        let told = engine.tell(&tokens, &chat.stop)?;
        let is_told = sha256(told.text.as_bytes()) == self.receipt.output_hash;
        if !is_told && !are_signed {
            return Err(Fault::new(FaultCode::BadInput, "the material is not the receipt's: other output"));
        }
        let units = (prompt.len() as u64, tokens.len() as u64);
        let limit = self.limit(chat, prompt.len() as u64, engine.context().into());
        let early = [
            (Mismatch::Text, is_told),
            (Mismatch::Units, units == (self.receipt.units_in.into(), self.receipt.units_out.into())),
            (Mismatch::Truncated, is_whole(&told, tokens.len() as u64, limit)),
        ];
        if let Some((mismatch, _)) = early.into_iter().find(|(_, holds)| !holds) {
            // Other tokens can spell the same text.
            return if are_signed { Ok(self.finding(mismatch)) } else { Err(unsigned()) };
        }
        let request = ChatRequest {
            prompt,
            max_tokens: 1,
            sampling: sampling(chat, &self.ordered.request_hash)?,
            stop: vec![],
            deadline: None,
        };
        let replay = Replay { tokens: tokens.clone(), claimed };
        let mut generation = engine.replay(request, replay, slot)?;
        let done = match generation.next().await {
            Some(ChatEvent::Done(done)) => done,
            Some(ChatEvent::Failed(fault)) => return Err(fault),
            Some(ChatEvent::Text { .. }) | None => return Err(internal("the engine stopped")),
        };
        let replayed = done.replayed.ok_or_else(|| internal("the engine judged nothing"))?;
        let agreed = replayed.drawn.iter().zip(&tokens).filter(|(drawn, claimed)| drawn == claimed).count();
        let found = Finding {
            output_hash: sha256(engine.tell(&replayed.drawn, &chat.stop)?.text.as_bytes()),
            evidence_hash: done.evidence.hash(),
            positions: count(tokens.len()),
            agreed: count(agreed),
            margin: replayed.margin(),
            difference: replayed.difference(),
            ..self.finding(Mismatch::None)
        };
        let is_equal = found.evidence_hash == self.receipt.evidence_hash;
        let mismatch = self.judge(&found, agreed == tokens.len(), is_equal);
        if mismatch != Mismatch::None && !are_signed && !is_equal {
            return Err(unsigned());
        }
        Ok(Finding { mismatch, ..found })
    }

    async fn embed(&self, embed: &Embed, engine: &EmbedEngine, slot: Option<Slot>) -> Result<Finding, Fault> {
        let claimed = &self.material.values;
        if sha256(claimed) != self.receipt.output_hash {
            return Err(Fault::new(FaultCode::BadInput, "the material is not the receipt's: other output"));
        }
        let rows = engine.rows(&embed.items)?;
        let units: usize = rows.iter().map(Vec::len).sum();
        if (units as u64, 0) != (u64::from(self.receipt.units_in), self.receipt.units_out) {
            return Ok(self.finding(Mismatch::Units));
        }
        let positions = rows.len();
        let own = engine.embed(rows, None, slot)?.await.map_err(internal)??;
        let bytes: Vec<u8> = own.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let hash = sha256(&bytes);
        let dims = (own.dims as usize).max(1);
        if claimed.len() != bytes.len() {
            return Ok(Finding { output_hash: hash, evidence_hash: hash, ..self.finding(Mismatch::Output) });
        }
        let differences: Vec<f32> =
            claimed.chunks(dims * 4).zip(own.values.chunks(dims)).map(|(claimed, own)| apart(claimed, own)).collect();
        let agreed = claimed.chunks(dims * 4).zip(bytes.chunks(dims * 4)).filter(|(claimed, own)| claimed == own);
        let largest = differences.iter().copied().fold(0f32, f32::max);
        let mean = differences.iter().copied().map(f64::from).sum::<f64>() / differences.len().max(1) as f64;
        let found = Finding {
            output_hash: hash,
            evidence_hash: hash,
            positions: count(positions),
            agreed: count(agreed.count()),
            difference: Some((largest, mean as f32)),
            ..self.finding(Mismatch::None)
        };
        let is_equal = hash == self.receipt.output_hash;
        // Vectors are their own evidence.
        let mismatch = match self.judge(&found, is_equal, is_equal) {
            Mismatch::None if self.receipt.evidence_hash != self.receipt.output_hash => Mismatch::Evidence,
            Mismatch::None => Mismatch::None,
            _ => Mismatch::Output,
        };
        Ok(Finding { mismatch, ..found })
    }

    /// Most tokens that the answer may have: what was asked for, what the order pays, what the context leaves.
    fn limit(&self, chat: &Chat, prompt: u64, context: u64) -> u64 {
        let per_1k = self.material.job.as_ref().map_or(0, |job| job.price_per_1k);
        let paid = affordable_units(self.ordered.order.max_price_nc, per_1k);
        u64::from(chat.max_tokens).min(paid.saturating_sub(prompt)).min(context.saturating_sub(prompt))
    }

    /// Nothing compared yet.
    fn finding(&self, mismatch: Mismatch) -> Finding {
        Finding {
            mismatch,
            comparison: self.rule.comparison(),
            output_hash: [0; 32],
            evidence_hash: [0; 32],
            positions: 0,
            agreed: 0,
            margin: (0.0, 0.0),
            difference: None,
        }
    }

    /// Applies the rule. What is equal bit by bit passes every rule.
    fn judge(&self, found: &Finding, output_is_equal: bool, evidence_is_equal: bool) -> Mismatch {
        if output_is_equal && evidence_is_equal {
            return Mismatch::None;
        }
        if self.rule.comparison() == Comparison::Exact {
            return if output_is_equal { Mismatch::Evidence } else { Mismatch::Output };
        }
        let (margin, mean_margin) = found.margin;
        if !within(margin, self.rule.margin_micro) || !within(mean_margin, self.rule.mean_margin_micro) {
            return Mismatch::Output;
        }
        // A chat without a record has nothing to compare with; its margins decide.
        let (difference, mean_difference) = found.difference.unwrap_or_default();
        if within(difference, self.rule.tol_ppm) && within(mean_difference, self.rule.mean_tol_ppm) {
            Mismatch::None
        } else {
            Mismatch::Evidence
        }
    }
}

/// Why there is no verdict on tokens that only the gateway vouches for.
fn unsigned() -> Fault {
    let detail = "the worker's record is missing: a mismatch could be the gateway's doing";
    Fault::new(FaultCode::BadInput, detail)
}

/// Whether an answer ends where it has to: with the token or string that ended it, or at its limit.
fn is_whole(told: &crate::chat::Told, tokens: u64, limit: u64) -> bool {
    match told.ended_after {
        Some(after) => after as u64 == tokens && tokens <= limit,
        None => tokens == limit && tokens > 0,
    }
}

/// `value` against a limit in millionths, 0 for none. No number is above every limit.
fn within(value: f32, limit_micro: u32) -> bool {
    limit_micro == 0 || f64::from(value) * 1e6 <= f64::from(limit_micro)
}

/// `max|Δ| / max|z|` of one claimed vector, f32 little-endian.
fn apart(claimed: &[u8], own: &[f32]) -> f32 {
    let (mut gap, mut scale) = (0f32, f32::MIN_POSITIVE);
    for (bytes, own) in claimed.as_chunks::<4>().0.iter().zip(own) {
        let value = f32::from_le_bytes(*bytes);
        let apart = (value - own).abs();
        gap = gap.max(if apart.is_nan() { f32::INFINITY } else { apart });
        scale = scale.max(value.abs());
    }
    gap / scale
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Told;

    #[test]
    fn an_answer_ends_at_its_end_or_at_its_limit_and_nowhere_else() {
        let told = |ended_after| Told { text: String::new(), ended_after };
        assert!(is_whole(&told(Some(5)), 5, 10));
        assert!(is_whole(&told(Some(10)), 10, 10));
        assert!(!is_whole(&told(Some(4)), 5, 10), "it goes on after its end");
        assert!(!is_whole(&told(Some(11)), 11, 10), "it is longer than paid for");
        assert!(is_whole(&told(None), 10, 10));
        assert!(!is_whole(&told(None), 9, 10), "it was cut");
        assert!(!is_whole(&told(None), 0, 0), "nothing is no answer");
    }

    #[test]
    fn a_limit_of_zero_limits_nothing_and_no_number_passes_no_limit() {
        assert!(within(f32::INFINITY, 0));
        assert!(within(1e-4, 100));
        assert!(!within(1.1e-4, 100));
        assert!(!within(f32::NAN, 100));
        assert!(!within(f32::INFINITY, u32::MAX));
    }
}
