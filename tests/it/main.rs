//! The tests that run the whole gate, and the ones that look at its source.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets a surprise should end there"
)]

mod access_reviews;
mod acme;
mod activation;
mod acts_shared;
mod addresses;
mod admin;
mod api_keys;
mod assertion;
mod attacks;
mod backends;
mod backup;
mod bounded;
mod browser;
mod client_certificates;
mod closed_by_default;
mod codings;
mod confined;
mod constant;
mod counted_in_people;
mod cut_streams;
mod demo;
mod deployed;
mod detections;
mod devices;
mod doctor;
mod documented_commands;
mod downloads;
mod dpop;
mod drain;
mod errors_deny;
mod events;
mod fails_closed;
mod first_policy;
mod formats;
mod forwarded;
mod fuzz_corpora;
#[path = "../../fuzz/src/targets/mod.rs"]
#[expect(unreachable_pub, reason = "it is the fuzz package's front door as well")]
#[allow(
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a target ends where it meets a surprise, and looks at a few of many variants"
)]
mod fuzz_targets;
mod grants;
mod grants_guarded;
mod grants_search;
mod graph_requests;
mod graphql;
mod guard_attacks;
mod guard_matrix;
mod h2_floods;
mod handed_over;
mod hardening;
mod harness;
mod heads;
mod heads_both_ways;
mod http_truth;
mod identity_attacks;
mod issuer_keys;
mod killed;
mod layering;
mod limits_reset;
mod linked;
mod links;
mod log_at_rest;
mod log_search;
mod log_views;
mod masked_everywhere;
mod monitoring;
mod no_secret_in_logs;
mod nobody_above;
mod noticed;
mod notify;
mod oidc;
mod one_time_codes;
mod outside_checks;
mod own_account;
mod passkey_devices;
mod passkeys;
mod people;
mod people_alone;
mod policy_files;
mod policy_tools;
mod reconfigured;
mod recorded_first;
mod registry;
mod reload;
mod replay;
mod report_pages;
mod reports;
mod restored;
mod retention;
mod rights_shared;
mod sent_bodies;
mod several_gates;
mod shadow;
mod shipping;
mod sign_in;
mod single_views;
mod step_up;
mod step_up_browser;
mod store_access;
mod subjects;
mod suite;
mod switches;
mod taken_out;
mod tenant_files;
mod tenant_retention;
mod threat_tables;
mod tls;
mod tokens;
mod traces;
mod two_persons;
mod unread;
mod uploads;
mod upstreams;
mod way;
mod websockets;
mod whose_records;
mod with_curl;
mod witnesses;
