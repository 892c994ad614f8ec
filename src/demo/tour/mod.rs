//! `menshen demo --tour`: the demo as a story that checks itself, over real TLS and real files.
//!
//! Its clock stands still but for what the story moves, so that codes, windows and ages are certain.

mod change;
pub(super) mod door;
mod fields;
mod gates;
mod glass;
mod grants;
mod log;
mod people;
mod review;
mod rows;
mod sign_in;
pub(super) mod story;
mod tokens;

use std::io::Write;
use std::path::Path;

use super::DemoError;
use super::cast::CUSTOMERS;
use super::stage::{Options, Stage};
use crate::clock::Clock;
use door::Door;
use story::Story;

/// How the story went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How many steps it had.
    pub steps: u32,
    /// The numbers of those that did not hold.
    pub broken: Vec<u32>,
}

impl Told {
    /// Whether every step held.
    #[must_use]
    pub fn held(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Sets up a demo, tells the story on `out` step by step, and removes what it made. `program` is the product, whose
/// commands the story runs on what the gate wrote.
///
/// # Errors
/// [`DemoError`] if the demo cannot be set up or nothing can be printed; a step that does not hold
/// is no error but stands in [`Told`].
pub async fn run(
    options: &Options,
    program: &Path,
    out: &mut dyn Write,
) -> Result<Told, DemoError> {
    tell(options, program, out, Cast::WithOthers).await
}

/// The same without the step for which a server of another kind is started, where one is found.
///
/// # Errors
/// As [`run`].
pub async fn run_alone(
    options: &Options,
    program: &Path,
    out: &mut dyn Write,
) -> Result<Told, DemoError> {
    tell(options, program, out, Cast::Alone).await
}

/// Which gates the story has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cast {
    Alone,
    WithOthers,
}

async fn tell(
    options: &Options,
    program: &Path,
    out: &mut dyn Write,
    cast: Cast,
) -> Result<Told, DemoError> {
    let clock = Clock::fixed(Clock::system().unix_ms());
    let stage = Stage::set(options, clock).await?;
    let door = match Door::new(stage.ca_pem(), stage.host(), stage.tasks()) {
        Ok(door) => door,
        Err(error) => {
            stage.strike().await;
            return Err(DemoError::Trust(error));
        }
    };
    let mut story = Story::begin(stage, door, out);
    let played = play(&mut story, program, cast).await;
    let told = played.and_then(|()| story.summary());
    story.end().await;
    told.map_err(DemoError::Print)
}

async fn play(story: &mut Story<'_>, program: &Path, cast: Cast) -> std::io::Result<()> {
    story.headline(&format!("a bank of {CUSTOMERS} invented customers"))?;
    sign_in::play(story).await?;
    fields::play(story).await?;
    rows::play(story).await?;
    change::play(story).await?;
    people::play(story).await?;
    grants::play(story).await?;
    if cast == Cast::WithOthers {
        gates::play(story).await?;
    }
    tokens::play(story).await?;
    glass::play(story).await?;
    log::play(story).await?;
    review::play(story, program).await
}
