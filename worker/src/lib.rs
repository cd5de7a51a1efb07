//! The worker: models in ONNX Runtime, receipts for the work, and the session towards a scheduler.

pub mod chat;
pub mod model;
pub mod runtime;
mod speed;
