//! What is shipped for operators fits the gate: alert rules, the dashboard, manifests, units, the package.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::threat_tables::rust_below;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c| !is_word(c)).filter(|word| word.starts_with("menshen_"));
    words.map(str::to_owned).collect()
}

#[test]
fn alert_rules_and_dashboard_name_metrics_that_the_guide_has() {
    let known = named(&read("docs/guide/operator.md"));
    for file in ["deploy/prometheus/alerts.yaml", "deploy/grafana/menshen.json"] {
        let metrics = named(&read(file));
        assert!(metrics.len() > 15, "{file}: {metrics:?}");
        for metric in metrics {
            let whole = metric.strip_suffix("_bucket").unwrap_or(&metric);
            assert!(known.contains(whole), "{file}: {metric} is not in the guide");
        }
    }
    let board = named(&read("deploy/grafana/menshen.json"));
    assert!(
        ["open", "ended_total"]
            .iter()
            .all(|of| board.contains(&format!("menshen_websockets_{of}")))
    );
    let board: serde_json::Value =
        serde_json::from_str(&read("deploy/grafana/menshen.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    assert!(panels.iter().all(|panel| !panel["targets"].as_array().unwrap().is_empty()));
}

#[test]
fn every_metric_of_the_guide_is_one_that_the_gate_registers() {
    let files = rust_below(vec![root().join("src/telemetry")]);
    let code: String = files.into_iter().map(|(_, text)| text).collect();
    let code: String = code.split_whitespace().collect();
    for metric in named(&read("docs/guide/operator.md")) {
        let name = metric.strip_prefix("menshen_").unwrap();
        let name = name.strip_suffix("_total").unwrap_or(name);
        let registered = ["", "_info", "_seconds"].iter().filter_map(|end| name.strip_suffix(end));
        let mut registered = registered.map(|name| {
            ["register", "register_with_unit"].map(|call| format!("{call}(\"{name}\","))
        });
        assert!(registered.any(|calls| calls.iter().any(|call| code.contains(call))), "{metric}");
    }
}

#[test]
fn the_unit_of_the_guide_is_the_one_that_is_shipped() {
    assert!(read("docs/guide/operator.md").contains(&read("systemd/menshen.service")));
}

/// What is not on its list of calls, systemd kills a program for.
#[test]
fn the_unit_lets_the_gate_confine_itself() {
    let unit = read("systemd/menshen.service");
    let allowed: Vec<&str> =
        unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    for call in
        ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"]
    {
        assert!(allowed.iter().any(|calls| calls.split(' ').any(|one| one == call)), "{call}");
    }
}

/// The yaml of a config map is a configuration, but for the files that it names.
#[test]
fn the_manifest_has_a_configuration_without_faults() {
    let manifest = read("deploy/kubernetes/menshen.yaml");
    let (_, rest) = manifest.split_once("menshen.yaml: |\n").unwrap();
    let lines = rest.lines().take_while(|line| line.starts_with("    "));
    let yaml: String = lines.map(|line| format!("{}\n", &line[4..])).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("menshen.yaml");
    std::fs::write(&file, yaml).unwrap();
    menshen::config::Config::load(&file).unwrap();
}

/// The package with this program in it.
fn unpacked(dir: &Path, program: &str) -> PathBuf {
    let built = Command::new("sh")
        .arg(root().join("deploy/deb/build.sh"))
        .arg(program)
        .arg(dir)
        .output()
        .unwrap();
    let said = String::from_utf8([built.stdout, built.stderr].concat()).unwrap();
    assert!(built.status.success(), "{said}");
    let package = said.lines().last().unwrap().to_owned();
    let tree = dir.join("tree");
    let ran = Command::new("dpkg-deb").args(["-R", &package]).arg(&tree).status().unwrap();
    assert!(ran.success());
    tree
}

#[test]
fn the_package_has_what_an_operator_needs_and_its_scripts_are_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let tree = unpacked(dir.path(), env!("CARGO_BIN_EXE_menshen"));
    for path in [
        "usr/bin/menshen",
        "usr/lib/systemd/system/menshen.service",
        "usr/lib/systemd/system/menshen.socket",
        "usr/share/doc/menshen/docs/operate.md",
        "usr/share/doc/menshen/docs/guide/operator.md",
        "usr/share/doc/menshen/certs/README.md",
        "usr/share/doc/menshen/policies/demo/rules.yaml",
        "usr/share/menshen/menshen.yaml",
        "usr/share/menshen/policies/demo/rules.yaml",
        "usr/share/menshen/prometheus/alerts.yaml",
    ] {
        assert!(tree.join(path).is_file(), "{path}");
    }
    let unit =
        std::fs::read_to_string(tree.join("usr/lib/systemd/system/menshen.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/menshen run") && !unit.contains("/usr/local"));
    for script in ["postinst", "prerm", "postrm"] {
        assert!(
            Command::new("sh")
                .arg("-n")
                .arg(tree.join("DEBIAN").join(script))
                .status()
                .unwrap()
                .success()
        );
    }
    let ran = Command::new(tree.join("usr/bin/menshen")).arg("--version").output().unwrap();
    assert!(String::from_utf8(ran.stdout).unwrap().starts_with("menshen "));
}

/// An operator has nothing but the package.
#[test]
fn what_the_package_says_step_by_step_leads_to_files_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    // It takes a while to pack the real one.
    let docs = unpacked(dir.path(), "/bin/true").join("usr/share/doc/menshen");
    let mut looked = 0;
    for page in
        ["docs/operate.md", "docs/hardening.md", "docs/guide/operator.md", "certs/README.md"]
    {
        let page = docs.join(page);
        let text = std::fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let files = links.map(|(link, _)| link.split('#').next().unwrap());
        for file in files.filter(|file| !file.is_empty() && !file.contains("://")) {
            // The sources are not in it.
            let is_source = ["/src/", "/tests/"].iter().any(|part| file.contains(part));
            let place = page.parent().unwrap().join(file);
            assert!(is_source || place.exists(), "{}: {file}", page.display());
            looked += 1;
        }
    }
    assert!(looked > 50, "{looked}");
}

/// What the steps have an operator write is what the unit and its socket are made for.
#[test]
fn the_configuration_of_the_steps_has_the_port_of_the_socket_and_the_folders_of_the_unit() {
    let steps = read("docs/operate.md");
    let yaml = steps.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("menshen.yaml");
    std::fs::write(&file, yaml).unwrap();
    let config = menshen::config::Config::load(&file).unwrap();
    let socket = read("systemd/menshen.socket");
    for listener in &config.listeners {
        let line = format!("\nListenStream={}\n", listener.socket.address);
        assert!(socket.contains(&line), "{line}");
    }
    for unit in ["systemd/menshen.service", "systemd/menshen-backup.service"] {
        let unit = read(unit);
        let folders = yaml.split("folder: ").skip(1).map(|rest| rest.split(' ').next().unwrap());
        assert_eq!(folders.clone().count(), 2);
        for folder in folders {
            assert!(unit.contains(&format!("-{folder}")), "{folder}");
        }
    }
}
