//! The templates in the demo: for each a policy folder, a cast, a backend's records and a story that
//! shows what the policy is for. What a template plays is data; this is the player.

mod dates;
mod guide;
mod play;
mod scene;

use std::io::Write;
use std::sync::Arc;

pub use guide::print;
pub use play::run;

use super::DemoError;
use super::backend::Desk;
use super::script::Script;
use super::shelf::Shelf;
use crate::clock::Clock;
use scene::Scene;

/// A policy folder that can be played.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    name: &'static str,
    policies: &'static [(&'static str, &'static str)],
    scene: &'static str,
}

/// The files of one template. A test holds them against the folder.
macro_rules! template {
    ($name:literal: $($file:literal)*) => {
        Template {
            name: $name,
            policies: &[$(($file, include_str!(concat!("../../../policies/", $name, "/", $file)))),*],
            scene: include_str!(concat!($name, ".json")),
        }
    };
}

const TEMPLATES: &[Template] = &[
    template!("bank": "catalogue.yaml" "limits.yaml" "routes.yaml" "rules.yaml" "tests.yaml"),
    template!("clinic": "catalogue.yaml" "limits.yaml" "roles.yaml" "routes.yaml" "rules.yaml" "tests.yaml"),
    template!("hotel": "catalogue.yaml" "limits.yaml" "routes.yaml" "rules.yaml" "tests.yaml"),
    template!("marketplace": "catalogue.yaml" "limits.yaml" "routes.yaml" "rules.yaml" "tests-rows.yaml" "tests.yaml"),
];

impl Template {
    /// The names of all templates.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TEMPLATES.iter().map(|template| template.name)
    }

    /// The template with this name.
    ///
    /// # Errors
    /// [`DemoError::NoTemplate`], which says which there are.
    pub fn named(name: &str) -> Result<Self, DemoError> {
        let found = TEMPLATES.iter().find(|template| template.name == name).copied();
        found.ok_or_else(|| {
            let known: Vec<&str> = Self::names().collect();
            DemoError::NoTemplate { asked: name.to_owned(), known: known.join(", ") }
        })
    }

    /// Its scene, with dates counted from the clock's today.
    fn scene(&self, clock: &Clock) -> Result<Scene, DemoError> {
        Scene::read(self.scene, clock.unix_s())
            .map_err(|fault| DemoError::Scene { template: self.name, fault })
    }

    /// What to set the stage with.
    ///
    /// # Errors
    /// [`DemoError::Scene`] if the template's data cannot be read.
    pub fn script(&self, clock: &Clock) -> Result<Script, DemoError> {
        let scene = self.scene(clock)?;
        let fault = |fault| DemoError::Scene { template: self.name, fault };
        Ok(Script {
            said: scene.said(clock.unix_s()).map_err(fault)?,
            host: scene.host,
            policies: self.policies.to_vec(),
            people: scene.people,
            zones: scene.zones,
            desk: Desk::Shelf(Arc::new(Shelf::new(scene.records, scene.backend))),
        })
    }
}

fn say(out: &mut dyn Write, text: std::fmt::Arguments<'_>) -> Result<(), DemoError> {
    writeln!(out, "{text}").map_err(DemoError::Print)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_policy_file_of_a_template_is_carried_in_the_binary() {
        for template in TEMPLATES {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(template.name);
            let files = std::fs::read_dir(folder).unwrap();
            let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut there: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
            there.sort();
            let mut carried: Vec<&str> = template.policies.iter().map(|(name, _)| *name).collect();
            carried.sort_unstable();
            assert_eq!(there, carried, "{}", template.name);
        }
    }

    #[test]
    fn every_scene_can_be_read() {
        for template in TEMPLATES {
            let scene = template.scene(&Clock::system()).unwrap();
            assert!(!scene.people.is_empty() && !scene.story.is_empty(), "{}", template.name);
        }
    }
}
