//! Who can be asked for a verdict, and how: the workers of this scheduler's sessions.

use crate::{link::LinkError, scheduler::Scheduler};
use async_trait::async_trait;
use std::time::Duration;
use tokio::time::timeout;
use waybill_protocol::{
    ArtifactId, WalletId, WorkerId,
    audit::{AuditJob, AuditOutcome, EvidenceRecord, EvidenceRequest, Verdict},
    frame::{Fault, FaultCode},
};

/// A re-execution takes about as long as the answer took; this is for the longest on a busy machine.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(300);
const EVIDENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// A worker that could re-execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifier {
    pub worker: WorkerId,
    pub operator: WalletId,
}

/// How the auditor reaches workers.
#[async_trait]
pub trait Verifiers: Send + Sync {
    /// Connected workers that have the model.
    fn with_model(&self, artifact: ArtifactId) -> Vec<Verifier>;

    /// Whose worker it is; `None` for one that is not registered.
    fn operator(&self, worker: WorkerId) -> Option<WalletId>;

    /// The audited worker's record; `None` when it gives none.
    async fn evidence(&self, worker: WorkerId, request: &EvidenceRequest) -> Option<EvidenceRecord>;

    /// A verifier's verdict, or why it has none.
    async fn audit(&self, verifier: WorkerId, job: &AuditJob) -> Result<Verdict, Fault>;
}

#[async_trait]
impl Verifiers for Scheduler {
    fn with_model(&self, artifact: ArtifactId) -> Vec<Verifier> {
        let Some(snapshot) = self.fleet.snapshot(&artifact) else { return Vec::new() };
        let serving = snapshot.candidates().iter().filter(|candidate| !candidate.load.is_gone());
        serving.map(|candidate| Verifier { worker: candidate.worker, operator: candidate.operator }).collect()
    }

    fn operator(&self, worker: WorkerId) -> Option<WalletId> {
        self.registry.node(worker).map(|node| node.operator)
    }

    async fn evidence(&self, worker: WorkerId, request: &EvidenceRequest) -> Option<EvidenceRecord> {
        let session = self.fleet.session(worker)?;
        match timeout(EVIDENCE_TIMEOUT, session.link.evidence(request)).await {
            Ok(Ok(record)) => Some(record),
            Ok(Err(reason)) => {
                tracing::info!(%worker, %reason, "a worker gave no evidence");
                None
            }
            Err(_) => None,
        }
    }

    async fn audit(&self, verifier: WorkerId, job: &AuditJob) -> Result<Verdict, Fault> {
        let lost = |detail: String| Fault::new(FaultCode::Lost, detail);
        let session = self.fleet.session(verifier).ok_or_else(|| lost("the verifier left".into()))?;
        let answer = timeout(AUDIT_TIMEOUT, session.link.audit(job)).await;
        let answer = answer.map_err(|_| lost("no verdict in time".into()))?;
        match answer.map_err(|error: LinkError| lost(error.to_string()))?.outcome {
            Some(AuditOutcome::Verdict(verdict)) => Ok(verdict),
            Some(AuditOutcome::Fault(fault)) => Err(fault),
            None => Err(Fault::new(FaultCode::Protocol, "an answer without a verdict")),
        }
    }
}
