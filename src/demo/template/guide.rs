//! What `menshen demo --template` prints: where everything is, who there is, and each step of the
//! story as a line to paste.

use std::io::Write;

use super::scene::{Scene, Step};
use super::{Template, say};
use crate::demo::DemoError;
use crate::demo::stage::Stage;

/// Prints the guide of a running demo. `program_folder` is where the `menshen` that runs it lies.
///
/// # Errors
/// [`DemoError::Print`], or another if the demo is not running.
pub fn print(
    template: Template,
    stage: &Stage,
    program_folder: &str,
    out: &mut dyn Write,
) -> Result<(), DemoError> {
    let scene = template.scene(stage.clock())?;
    places(&scene, stage, out)?;
    say(out, format_args!("Accounts\n"))?;
    for person in &scene.people {
        say(out, format_args!("  {:<12} {:<22} {}", person.name, person.password, person.about))?;
    }
    say(
        out,
        format_args!(
            "\nFirst, in another terminal:\n\n  cd '{}'\n  export PATH=\"{program_folder}:$PATH\"\n",
            stage.path().display()
        ),
    )?;
    let mut signed_in: Vec<(&str, usize)> = Vec::new();
    for (number, step) in (1..).zip(&scene.story) {
        say(out, format_args!("{number:>2}. {}\n", step.title))?;
        if !step.by.is_empty() && !signed_in.contains(&(&step.by, step.zone)) {
            signed_in.push((&step.by, step.zone));
            say(out, format_args!("{}", sign_in(&scene, stage, step)))?;
        }
        say(
            out,
            format_args!("{}\n\n    → {}: {}\n", request(stage, step), step.status, step.why),
        )?;
    }
    let end = if stage.is_kept() { "stays" } else { "is removed" };
    say(out, format_args!("Ctrl-C ends the demo; its folder {end}."))?;
    out.flush().map_err(DemoError::Print)
}

fn places(scene: &Scene, stage: &Stage, out: &mut dyn Write) -> Result<(), DemoError> {
    say(out, format_args!("menshen demo: {}, behind the gate\n", scene.title))?;
    for (zone, address) in scene.zones.iter().zip(stage.addresses()) {
        let (host, port) = (stage.host(), address.port());
        say(out, format_args!("  {zone:<10} https://{host}:{port}/ on {address}"))?;
    }
    let folder = stage.path().display();
    say(out, format_args!("  policies   {folder}/policies\n  log        {folder}/log\n"))
}

/// The first words of every request: trust the demo's authority, and find the host on this machine.
fn curl(stage: &Stage, zone: usize) -> (String, String) {
    let Some(address) = stage.addresses().get(zone) else { return Default::default() };
    let (host, port, ip) = (stage.host(), address.port(), address.ip());
    let ip = if address.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let base = format!("curl -i -w '\\n' --cacert ca.pem --resolve {host}:{port}:{ip}");
    (base, format!("https://{host}:{port}"))
}

fn sign_in(scene: &Scene, stage: &Stage, step: &Step) -> String {
    let (base, site) = curl(stage, step.zone);
    let name = &step.by;
    let password = scene.people.iter().find(|p| p.name == *name).map_or("", |p| &p.password);
    let json = "-H 'Content-Type: application/json'";
    let mut lines = format!(
        "  {base} -c {name}.jar \\\n     {json} -d '{{\"account\":\"{name}\",\"password\":\"{password}\"}}' \\\n     '{site}/.menshen/login'"
    );
    if step.code {
        lines.push_str(&format!(
            "\n  {base} -b {name}.jar -c {name}.jar \\\n     {json} -d \"{{\\\"code\\\":\\\"$(menshen demo code {name})\\\"}}\" \\\n     '{site}/.menshen/code'"
        ));
    }
    lines
}

fn request(stage: &Stage, step: &Step) -> String {
    let (base, site) = curl(stage, step.zone);
    let (method, path) = step.target();
    let mut line = format!("  {base}");
    if !step.by.is_empty() {
        line.push_str(&format!(" -b {}.jar", step.by));
    }
    if method != "GET" {
        line.push_str(&format!(" -X {method}"));
    }
    for (name, value) in [("Purpose", &step.purpose), ("Ticket", &step.ticket)] {
        if let Some(value) = value {
            line.push_str(&format!(" \\\n     -H 'Menshen-{name}: {value}'"));
        }
    }
    if let Some(body) = &step.body {
        let body = body.to_string().replace('\'', "'\\''");
        line.push_str(&format!(" \\\n     -H 'Content-Type: application/json' -d '{body}'"));
    }
    format!("{line} \\\n     '{site}{path}'")
}
