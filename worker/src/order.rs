//! The order behind a job: is it really the gateway's, and does it pay for exactly this work?

use waybill_mechanism::message::{self, Order};
use waybill_protocol::{
    ArtifactId, ContainerId, WalletId,
    frame::{Fault, FaultCode, Input, Job},
    signing,
};

/// A job whose order is genuine; whether the channel backs it is another question.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub order: Order,
    pub gateway: WalletId,
    pub container: ContainerId,
    pub stage: u8,
    pub artifact: ArtifactId,
    pub referrer: WalletId,
    pub input: Input,
    pub input_hash: [u8; 32],
    pub request_hash: [u8; 32],
}

/// The auction that a sponsored job names. Flag and name come together, or its receipt could never be proven.
fn slot(job: &Job) -> Result<Option<[u8; 32]>, Fault> {
    let sponsored = job.flags & u32::from(message::flags::SPONSORED) != 0;
    let slot = (!job.slot.is_empty()).then(|| <[u8; 32]>::try_from(&job.slot[..])).transpose();
    match slot {
        Ok(slot) if slot.is_some() == sponsored => Ok(slot),
        _ => Err(Fault::new(FaultCode::Protocol, "malformed job: slot")),
    }
}

/// Checks form, domain, signature and context of the job's order.
pub(crate) fn check(job: &Job, domain: [u8; 8], allowed: Option<&[WalletId]>) -> Result<Ordered, Fault> {
    let malformed = |what: &str| Fault::new(FaultCode::Protocol, format!("malformed job: {what}"));
    let unfunded = |why: &str| Fault::new(FaultCode::Unfunded, why);
    let order = Order::from_bytes(&job.order).map_err(|_| malformed("order"))?;
    let gateway = WalletId::try_from(&job.gateway[..]).map_err(|_| malformed("gateway"))?;
    let container = ContainerId::try_from(&job.container[..]).map_err(|_| malformed("container"))?;
    let referrer = WalletId::try_from(&job.referrer[..]).map_err(|_| malformed("referrer"))?;
    // Where the order names a class, the gateway chose the container; anyone recomputes the choice from the chain.
    let ordered_of = match job.class.len() {
        0 => container.0,
        _ => job.class[..].try_into().map_err(|_| malformed("class"))?,
    };
    let artifact = ArtifactId::try_from(&job.artifact[..]).map_err(|_| malformed("artifact"))?;
    let stage = u8::try_from(job.stage).map_err(|_| malformed("stage"))?;
    let input = job.input.clone().ok_or_else(|| malformed("input"))?;
    if order.domain != domain {
        return Err(unfunded("the order belongs to another network"));
    }
    if allowed.is_some_and(|allowed| !allowed.contains(&gateway)) {
        return Err(unfunded("this worker does not serve the gateway"));
    }
    if !signing::verify(&gateway.0, &job.order, &job.order_signature) {
        return Err(unfunded("the order's signature is not the gateway's"));
    }
    let input_hash = input.hash();
    let slot = slot(job)?;
    if order.ctx_hash != message::ctx_hash(&ordered_of, &input_hash, order.max_price_nc, &referrer.0, slot.as_ref()) {
        return Err(unfunded("the order is for other work"));
    }
    let request_hash = order.hash();
    Ok(Ordered { order, gateway, container, stage, artifact, referrer, input, input_hash, request_hash })
}
