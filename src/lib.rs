//! bongsu: attack, flash crowd, or glitch? From packets to an attributed verdict.
//!
//! Data flows through the folders in this order:
//! `capture → decode → flow → aggregate → detect → incident → alert → sink`, with `attribute` on the way from flow to
//! aggregate and `pipeline` joining the stages. A module imports only what stands before it; `ARCHITECTURE.md` has the
//! map.

pub mod document;
pub mod metrics;
pub mod service;
pub mod time;

pub mod capture;

pub mod decode;
pub mod synth;

pub mod attribute;
pub mod flow;

pub mod aggregate;

pub mod detect;

pub mod incident;

pub mod alert;

pub mod sink;
pub mod store;

pub mod config;

pub mod pipeline;

pub mod host;
pub mod serve;
pub mod tune;

pub mod cli;
