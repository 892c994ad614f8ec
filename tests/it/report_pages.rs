//! The page that a customer is handed, in each language, as it was read and found good.

use std::path::Path;

use menshen::report::{Hours, How, LANGUAGES, Look, Post, page};

/// Moments as a house writes them.
struct Plain;

impl Hours for Plain {
    fn shown(&self, ms: i64) -> String {
        format!("2026-10-{:02} 09:00", ms)
    }

    fn is_off(&self, _ms: i64) -> bool {
        false
    }
}

/// A look of each kind, by each kind of post.
fn looks() -> Vec<Look> {
    let kinds = [
        (Post::Staff(vec!["teller".into(), "branch-staff".into()]), How::Shown, "service"),
        (Post::Staff(Vec::new()), How::Possibly, "loan"),
        (Post::Partner("Sun & Moon <Travel>".into()), How::File, "delivery"),
        (Post::Program, How::Shown, "statements"),
        (Post::Yourself, How::Shown, ""),
        (Post::Operator, How::Reviewed, ""),
        (Post::Staff(vec!["refused".into()]), How::Refused, "curiosity"),
    ];
    let look = |(day, (post, how, purpose)): (i64, (Post, How, &str))| Look {
        at_ms: day,
        time: String::new(),
        request: String::new(),
        account: "li.na".into(),
        post,
        what: "customer.view".into(),
        how,
        clear: if day < 5 {
            vec!["customer.name".into(), "customer.home_address".into()]
        } else {
            vec![]
        },
        masked: if day < 3 { vec!["customer.phone".into()] } else { vec![] },
        pseudonym: if day == 3 { vec!["customer.id".into()] } else { vec![] },
        purpose: purpose.into(),
        ticket: "T-1".into(),
        reason: "typed by somebody".into(),
        people: 1,
    };
    (1..).zip(kinds).map(look).collect()
}

fn is_golden(name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(said == wanted, "{} should hold:\n{said}", path.display());
}

#[test]
fn the_page_for_a_customer_is_as_it_was_read_in_every_language() {
    for (language, words) in &LANGUAGES {
        let between = ("2026-10-01", "2026-10-31");
        let said =
            page(words, "customer:42", &looks(), between, &Plain, (128, "rnDNcnGwnBnPKcvm="));
        for hidden in
            ["li.na", "typed by", "T-1", "refused", "curiosity", "<Travel>", "{", "<script"]
        {
            let body = said.split("</style>").nth(1).unwrap();
            assert!(!body.contains(hidden), "{language}: {hidden}");
        }
        is_golden(&format!("customer_page.{language}.html"), &said);
    }
}

#[test]
fn no_text_of_a_language_is_that_of_another_and_each_fills_the_same_places() {
    let texts = |words: &menshen::report::Words| {
        [
            words.title,
            words.lead,
            words.when,
            words.who,
            words.what,
            words.why,
            words.how,
            words.clear,
            words.masked,
            words.pseudonym,
            words.shown,
            words.file,
            words.possibly,
            words.reviewed,
            words.yourself,
            words.staff,
            words.partner,
            words.program,
            words.operator,
            words.nobody,
            words.times,
            words.foot,
            words.nothing,
        ]
    };
    let [(_, english), others @ ..] = &LANGUAGES;
    for (language, words) in others {
        for (own, first) in texts(words).into_iter().zip(texts(english)) {
            assert_ne!(own, first, "{language}");
            for place in ["{from}", "{to}", "{name}", "{n}", "{entries}", "{root}"] {
                assert_eq!(own.contains(place), first.contains(place), "{language}: {own}");
            }
        }
    }
}
