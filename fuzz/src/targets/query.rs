//! Query strings beside a decoder that others wrote.

use menshen::guard::check_query;
use menshen::policy::kind::Kind;
use menshen::policy::search::{FilterForm, TooLarge};
use menshen::policy::{Parameter, SearchPlan};
use percent_encoding::percent_decode_str;

/// Any text as a query: what passes was declared, may be searched by, stands there once, and is written
/// so that it is read in one way.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let plan = plan();
    let Ok(checked) = check_query(Some(text), &plan) else { return };
    let again = check_query(Some(&checked.canonical), &plan);
    assert_eq!(again.as_ref(), Ok(&checked), "the canonical form is that of itself");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%&=+*[]".contains(&byte);
    assert!(checked.canonical.bytes().all(plain), "{}", checked.canonical);
    let theirs: Vec<(String, String)> =
        checked.canonical.split('&').filter(|p| !p.is_empty()).map(pair).collect();
    assert_eq!(theirs, checked.pairs);
    for (index, (name, value)) in checked.pairs.iter().enumerate() {
        assert!(checked.pairs[..index].iter().all(|(other, _)| other != name), "`{name}` twice");
        assert!(!name.contains('\0') && !value.contains('\0'));
        match name.as_str() {
            "name" | "q" | "page" => {}
            "sort" => {
                let allowed = |field: &str| ["name", "id"].contains(&field.trim_start_matches('-'));
                assert!(value.split(',').all(allowed), "{value}");
            }
            "per_page" => assert!((1..=50).contains(&value.parse::<u32>().expect("a number"))),
            "include" => assert!(value.split(',').all(|name| name == "orders"), "{value}"),
            "where" => {
                let allowed = |part: &str| part.starts_with("name:") || part.starts_with("id:");
                assert!(value.split(',').next().is_some_and(allowed), "{value}");
            }
            filter if filter.starts_with("filter[name]") || filter.starts_with("filter[id]") => {}
            other => panic!("`{other}` is not declared, or searches a masked field"),
        }
    }
    let is_open = !checked.pairs.iter().any(|(name, _)| name == "per_page");
    assert_eq!(checked.page_size_left_open.is_some(), is_open);
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').expect("a name and a value");
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().expect("text").into_owned()
    };
    (decode(name), decode(value))
}

fn plan() -> SearchPlan {
    let field = |name: &str, clear| Parameter::Field {
        field: format!("customer.{name}").into(),
        clear,
        kind: Some(Kind::Phone),
        at_least: None,
    };
    let filter = |form| Parameter::Filter { form, clear: vec!["name".into(), "id".into()] };
    SearchPlan {
        path: Vec::new(),
        parameters: vec![
            ("name".into(), field("name", true)),
            ("phone".into(), field("phone", false)),
            ("q".into(), Parameter::Free),
            ("page".into(), Parameter::Page),
            ("per_page".into(), Parameter::PageSize(TooLarge::Refuse)),
            ("filter".into(), filter(FilterForm::Brackets)),
            ("where".into(), filter(FilterForm::Colons)),
            ("include".into(), Parameter::Include { of: vec!["orders".into()] }),
            ("sort".into(), Parameter::Sort { clear: vec!["name".into(), "id".into()] }),
        ],
        page_limit: Some(50),
    }
}
