//! A tenant's own file, in force while the gate runs: its callers are refused what it denies, nobody else notices, and a
//! file that would loosen keeps the policy as it is.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, soon};

async fn view(gate: &Gate, tenant: Option<&str>) -> u16 {
    let token = match tenant {
        Some(tenant) => gate.token(&json!({ "roles": ["teller"], "tenant": tenant })),
        None => gate.teller(),
    };
    gate.ask(Ask::get("/one/1").by(&token)).await.status.as_u16()
}

fn write(gate: &Gate, text: &str) {
    std::fs::write(gate.path("policies/tenant-shop.yaml"), text).unwrap();
}

/// How often a new policy was refused so far.
fn refusals(gate: &Gate) -> usize {
    let entries = gate.entries_so_far();
    let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
    acts.filter(|act| act.name.as_str() == "policy_refused").count()
}

async fn until_another(gate: &Gate, before: &str) {
    let changes = async {
        while gate.server().policy_version() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("another policy", changes).await;
}

#[tokio::test]
async fn a_tenants_file_comes_into_force_for_its_callers_and_one_that_loosens_does_not() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    assert_eq!((view(&gate, Some("shop")).await, view(&gate, None).await), (200, 200));
    let before = gate.server().policy_version();
    write(&gate, "tenant: shop\nrules: [{ name: closed, deny: view, to: any }]\n");
    until_another(&gate, &before).await;
    assert_eq!(view(&gate, Some("shop")).await, 403);
    assert_eq!((view(&gate, Some("mall")).await, view(&gate, None).await), (200, 200));
    let strict = gate.server().policy_version();
    for wrong in [
        "tenant: shop\nrules: [{ name: open, allow: view, to: any, of: customer, clear: phone }]\n",
        "tenant: mall\n",
        "roles: { owner: {} }\n",
    ] {
        let before = refusals(&gate);
        write(&gate, wrong);
        let refused = async {
            while refusals(&gate) == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("a policy that is refused", refused).await;
        assert_eq!(gate.server().policy_version(), strict, "{wrong}");
        assert_eq!(view(&gate, Some("shop")).await, 403);
    }
}

#[tokio::test]
async fn the_limits_of_tenants_do_not_add_up_but_for_whoever_is_of_several() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    for (tenant, first) in [("shop", 3), ("mall", 20)] {
        let windows = (first..first + 3).map(|hours| format!("100/{hours}h"));
        let windows = windows.collect::<Vec<_>>().join(", ");
        let text = format!("tenant: {tenant}\nlimits: [{{ to: any, records: [{windows}] }}]\n");
        let before = gate.server().policy_version();
        std::fs::write(gate.path(&format!("policies/tenant-{tenant}.yaml")), text).unwrap();
        until_another(&gate, &before).await;
    }
    assert_eq!((view(&gate, Some("shop")).await, view(&gate, Some("mall")).await), (200, 200));
    let both = gate.token(&json!({ "roles": ["teller"], "tenant": ["shop", "mall"] }));
    gate.ask(Ask::get("/one/1").by(&both)).await.expect(503);
    let before = refusals(&gate);
    write(&gate, "tenant: shop\nlimits: [{ to: any, records: [9/1h, 9/2h, 9/3h, 9/4h, 9/5h] }]\n");
    let refused = async {
        while refusals(&gate) == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a refusal", refused).await;
}
