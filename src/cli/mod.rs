//! stub
pub mod geo;
