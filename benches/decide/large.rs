//! A policy as large as a bank's: 25 entities of 20 fields, 200 routes, 50 roles, 2,000 rules.

use std::fmt::Write as _;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) entities: usize,
    pub(crate) roles: usize,
    pub(crate) rules: usize,
}

pub(crate) const BANK: Size = Size { entities: 25, roles: 50, rules: 2000 };
pub(crate) const FIELDS: usize = 20;
/// Routes of each entity: the method, what follows `/api/e7`, the action and what else belongs to it.
pub(crate) const ROUTES: [(&str, &str, &str, &str); 8] = [
    ("GET", "/{id}", "view", "returns: { E: $ }"),
    (
        "GET",
        "",
        "search",
        "query: { f2: E.f2, page: page, per_page: page-size }, returns: { E: '$.items[]' }",
    ),
    ("GET", "/all/export", "export", "returns: { E: '$[]' }"),
    ("POST", "", "create", "accepts: { E: $ }, returns: { E: $ }"),
    ("PATCH", "/{id}", "update", "accepts: { E: $ }, returns: { E: $ }, reads: E.r0"),
    ("DELETE", "/{id}", "delete", "reads: E.r0"),
    ("GET", "/{id}/history", "search", "returns: { E: '$[]' }"),
    ("POST", "/{id}/call", "call", "returns: { E: $ }"),
];

/// The text of the policy.
pub(crate) fn policy(size: Size) -> String {
    let mut text = String::from(
        "grades:\n  1: {}\n  2: { assurance: 1 }\n  3: { assurance: 2, fresh: 15m, zone: business }\n  \
         4: { assurance: 3, fresh: 5m }\npurposes: [service, complaint, risk]\nentities:\n",
    );
    for e in 0..size.entities {
        write!(text, "  e{e}:\n    subject: f0\n    fields:\n      f0: 1\n      f1: 1\n")
            .expect("text");
        for f in 2..FIELDS {
            writeln!(text, "      f{f}: {{ grade: {}, kind: phone }}", f % 4 + 1).expect("text");
        }
    }
    text.push_str("routes:\n");
    for e in 0..size.entities {
        for (r, (method, path, action, rest)) in ROUTES.iter().enumerate() {
            let rest = rest.replace("E", &format!("e{e}"));
            writeln!(
                text,
                "  e{e}.r{r}: {{ match: '{method} bank.example/api/e{e}{path}', to: core, action: {action}, {rest} }}"
            )
            .expect("text");
        }
    }
    text.push_str("roles:\n");
    for role in 0..size.roles {
        writeln!(text, "  role{role}: {{}}").expect("text");
    }
    text.push_str("rules:\n");
    for rule in 0..size.rules {
        let (role, e) = (rule % size.roles, rule / size.roles % size.entities);
        let layer = rule / size.roles / size.entities;
        let fields: Vec<String> =
            (2..FIELDS).filter(|f| (f + rule) % 3 == layer).map(|f| format!("f{f}")).collect();
        writeln!(
            text,
            "  - name: rule {rule}\n    allow: [view, search, export, update]\n    to: role{role}\n    of: e{e}\n    \
             clear: [f0, f1, {clear}]\n    masked: [f3, f4]\n    write: [f5]\n    where: record.f1 == caller.branch\n    \
             when: caller.zone == 'business' && time.hour('Asia/Shanghai') in 0..24\n    purpose: [service, complaint]",
            clear = fields.join(", "),
        )
        .expect("text");
    }
    text.push_str(
        "  - name: nobody exports by night\n    deny: export\n    to: any\n    when: caller.zone == 'night'\n\
         limits:\n",
    );
    for role in 0..size.roles {
        writeln!(
            text,
            "  - {{ to: role{role}, rate: 120/min burst 20, page: 20, subjects: [40/h, 200/day] }}"
        )
        .expect("text");
    }
    text
}
