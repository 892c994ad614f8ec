//! menshen, an access gateway that decides field by field who may see customer data.
//!
//! The modules stand in the order in which a request meets them; `proxy::pipeline` shows the
//! whole way on one screen, ARCHITECTURE.md tells it in five minutes.

// -- the way of a request
pub mod audit;
pub mod guard;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod policy;
pub mod proxy;
pub mod route;
pub mod tls;
pub mod upstream;
// -- beside the way
pub mod acme;
pub mod admin;
pub mod backup;
pub mod bulletin;
pub mod campaign;
pub mod command;
pub mod consent;
pub mod grant;
pub mod index;
pub mod link;
pub mod notify;
pub mod registry;
pub mod replay;
pub mod report;
pub mod review;
pub mod shared;
pub mod ship;
pub mod state;
pub mod suite;
// -- foundations
pub mod clock;
pub mod document;
mod recall;
pub mod scan;
pub mod secret;
pub mod telemetry;
mod turn;
mod unseen;
// -- composition
pub mod cli;
pub mod config;
pub mod demo;
pub mod server;
