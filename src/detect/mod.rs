//! Ticks → findings: what the shipped and the user's rules see in the traffic.

pub mod rule;
