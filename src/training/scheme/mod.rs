//! How a peer makes a pseudo-gradient of its gradients.

pub mod demo;
