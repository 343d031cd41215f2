//! The world, each part behind one port.

pub mod dry;
pub mod karpenter;
pub mod kube;
pub mod ledger;
pub mod llm;
pub mod prices;
pub mod prometheus;
