//! The worker on real models: generation, embeddings, jobs with their refusals, and the session towards a scheduler.
//! Models and ONNX Runtime come from the folder that `cargo xtask setup` fills; a test whose model is absent says so.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod chat;
mod embed;
mod job;
mod link;
mod setup;
