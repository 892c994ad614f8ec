//! The commands that make, describe and arrange policy files, as somebody types them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::harness::process::menshen;

fn said(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(text).unwrap()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn an_imported_description_is_accepted_closed_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let shop = path(folder.path(), "shop");
    let store = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/petstore.yaml");
    let import = ["import", store, "--out", &shop, "--upstream", "shop"];
    let first = menshen(&import);
    assert!(first.status.success(), "{}", said(&first));
    assert!(said(&first).contains("16 routes, 5 entities, 22 fields, none of them open"));
    assert!(said(&first).contains("uploadImage: takes application/octet-stream, not JSON"));

    let checked = menshen(&["check", &shop]);
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(said(&checked).contains("no faults, 21 warnings; 16 routes"), "{}", said(&checked));
    assert!(menshen(&["fmt", &shop, "--check"]).status.success());

    let routes = path(folder.path(), "shop/routes.yaml");
    fs::write(&routes, "routes: {}\n").unwrap();
    fs::remove_file(path(folder.path(), "shop/catalogue.yaml")).unwrap();
    let second = menshen(&import);
    assert_eq!(second.status.code(), Some(64), "{}", said(&second));
    assert!(said(&second).contains("exists already"));
    assert_eq!(fs::read_to_string(&routes).unwrap(), "routes: {}\n");
    assert!(!Path::new(&path(folder.path(), "shop/catalogue.yaml")).exists());
}

#[test]
fn fmt_replaces_what_differs_and_leaves_faulty_files_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| path(folder.path(), name);
    let (good, untidy, bad) = (named("a.yaml"), named("b.yaml"), named("c.yaml"));
    fs::write(&good, "roles: { teller: {} }\n").unwrap();
    fs::write(&untidy, "roles:   {   clerk: {}}   # why\n").unwrap();
    fs::set_permissions(&untidy, fs::Permissions::from_mode(0o640)).unwrap();
    let whole = folder.path().to_str().unwrap();

    let check = menshen(&["fmt", whole, "--check"]);
    assert_eq!(check.status.code(), Some(1), "{}", said(&check));
    assert_eq!(said(&check), format!("{untidy}\n1 of 2 files would change\n"));
    assert!(fs::read_to_string(&untidy).unwrap().contains("   {"));

    fs::write(&bad, "roles: [\n").unwrap();
    let done = menshen(&["fmt", whole]);
    assert_eq!(done.status.code(), Some(64), "{}", said(&done));
    assert!(said(&done).contains("fault[P001]") && said(&done).contains("c.yaml:"));
    assert_eq!(fs::read_to_string(&untidy).unwrap(), "roles: { clerk: {} } # why\n");
    assert_eq!(fs::metadata(&untidy).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_to_string(&bad).unwrap(), "roles: [\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left behind");

    fs::remove_file(&bad).unwrap();
    assert!(menshen(&["fmt", whole, "--check"]).status.success());
}

#[test]
fn the_schema_is_printed_for_editors() {
    let printed = menshen(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert!(schema["properties"]["routes"]["description"].is_string());
    for (editor, word) in [("vscode", "yaml.schemas"), ("neovim", "yamlls")] {
        assert!(said(&menshen(&["schema", "--editor", editor])).contains(word));
    }
}
