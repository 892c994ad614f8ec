//! How gates hear of each other's acts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Telemetry;

/// What is told of the board of gates.
#[derive(Debug, Default)]
pub(super) struct Bulletin {
    up: Gauge,
    losses: Counter,
    taken: Counter,
    forged: Counter,
    left: Counter,
    behind: Gauge,
}

impl Bulletin {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help =
            "Whether the board of gates answers, so that what is done at one is known at all";
        registry.register("board_up", help, self.up.clone());
        let help = "How often the board of gates was lost";
        registry.register("board_lost", help, self.losses.clone());
        let help = "What was done at other gates and taken over here";
        registry.register("board_taken", help, self.taken.clone());
        let help = "What stood on the board of gates and no gate of this key sealed";
        registry.register("board_forged", help, self.forged.clone());
        let help = "What was not understood or found no room, here or on the board of gates";
        registry.register("board_left", help, self.left.clone());
        let help = "About so many rows of grants, links and statements that other gates have were not read yet";
        registry.register("board_behind", help, self.behind.clone());
    }
}

impl Telemetry {
    /// Counts what came of a look at the board of gates.
    pub fn board_read(&self, taken: u64, forged: u64, (left, behind): (u64, u64)) {
        self.bulletin.up.set(1);
        self.bulletin.behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
        self.bulletin.taken.inc_by(taken);
        self.bulletin.forged.inc_by(forged);
        self.bulletin.left.inc_by(left);
    }

    /// Says that the board of gates does not answer; whether that is new.
    pub fn board_lost(&self, is_new: bool) {
        self.bulletin.up.set(0);
        self.bulletin.losses.inc_by(u64::from(is_new));
    }
}
