//! A template's story, played through the real gate and checked step by step.

use std::collections::BTreeSet;
use std::io::Write;

use http::Method;

use super::Template;
use super::scene::Step;
use crate::clock::Clock;
use crate::demo::DemoError;
use crate::demo::stage::{Options, Stage};
use crate::demo::tour::Told;
use crate::demo::tour::door::{Answer, Door, Trouble};
use crate::demo::tour::story::{Ask, Story};

/// A code works once and is good for half a minute: the next person signs in with the next one.
const CODE_MS: i64 = 30_000;

/// Sets up the template's demo, tells its story on `out`, and removes what it made.
///
/// # Errors
/// As [`crate::demo::tour::run`].
pub async fn run(
    template: Template,
    options: &Options,
    out: &mut dyn Write,
) -> Result<Told, DemoError> {
    let clock = Clock::fixed(Clock::system().unix_ms());
    let scene = template.scene(&clock)?;
    let stage = Stage::play(template.script(&clock)?, options, clock).await?;
    let door = match Door::new(stage.ca_pem(), stage.host(), stage.tasks()) {
        Ok(door) => door,
        Err(error) => {
            stage.strike().await;
            return Err(DemoError::Trust(error));
        }
    };
    let mut story = Story::begin(stage, door, out);
    let played = play(&mut story, &scene.title, &scene.story).await;
    let told = played.and_then(|()| story.summary());
    story.end().await;
    told.map_err(DemoError::Print)
}

async fn play(story: &mut Story<'_>, title: &str, steps: &[Step]) -> std::io::Result<()> {
    story.headline(title)?;
    let mut signed_in = BTreeSet::new();
    for step in steps {
        let is_new = !step.by.is_empty() && signed_in.insert((step.by.clone(), step.zone));
        let play = async |story: &mut Story<'_>| {
            story.stage.clock().advance_ms(i64::from(step.minutes_later) * 60_000);
            if is_new {
                story.stage.clock().advance_ms(CODE_MS);
                story.sign_in_at(step.zone, &step.by, step.code).await?;
            }
            one(story, step).await
        };
        story.step(&step.title, &step.why, play).await?;
    }
    Ok(())
}

async fn one(story: &mut Story<'_>, step: &Step) -> Result<(), Trouble> {
    let answer = story.ask(ask(step, step.target().1)).await?;
    story.check(&step.status.to_string(), answer.status.as_u16() == step.status);
    let body = answer.json();
    for (pointer, value) in &step.shows {
        story.check(&format!("{pointer} is {value}"), body.pointer(pointer) == Some(value));
    }
    for pointer in &step.lacks {
        story.check(&format!("nothing at {pointer}"), body.pointer(pointer).is_none());
    }
    for (pointer, count) in &step.counts {
        let found = body.pointer(pointer).and_then(|value| value.as_array()).map(Vec::len);
        story.check(&format!("{count} at {}", shown(pointer)), found == Some(*count));
    }
    if let Some(path) = &step.same_as {
        let other: Answer = story.ask(ask(step, path)).await?;
        story.check("both answers are equal to the byte", answer.shape() == other.shape());
    }
    Ok(())
}

fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "the top" } else { pointer }
}

fn ask(step: &Step, path: &str) -> Ask {
    let method = Method::from_bytes(step.target().0.as_bytes()).unwrap_or_default();
    let ask = Ask::of(method, path, step.body.clone()).by(&step.by).at_zone(step.zone);
    let ask = match &step.purpose {
        Some(purpose) => ask.purpose(purpose),
        None => ask,
    };
    match &step.ticket {
        Some(ticket) => ask.ticket(ticket),
        None => ask,
    }
}
