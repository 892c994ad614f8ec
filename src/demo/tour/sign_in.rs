//! Who asks: passwords, one-time codes, sessions.

use std::io;

use http::StatusCode;
use serde_json::json;

use super::door::Trouble;
use super::story::{Ask, Story, password_of};

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "Nothing without a credential",
            "A published path says no more to a stranger than that it wants one.",
            nothing_without_a_credential,
        )
        .await?;
    story
        .step(
            "A wrong password and an unknown account get the same answer",
            "Else a stranger could find out who works here.",
            no_account_is_told_apart,
        )
        .await?;
    story
        .step(
            "The password gives assurance 1, the code assurance 2",
            "How sure the gate is of a caller decides what they see; each step up changes the cookie.",
            a_code_raises_the_session,
        )
        .await?;
    story
        .step(
            "A code works once",
            "Whoever looked over a shoulder must not sign in with what they saw.",
            a_code_works_once,
        )
        .await
}

async fn nothing_without_a_credential(story: &mut Story<'_>) -> Result<(), Trouble> {
    let answer = story.ask(Ask::get("/api/customers/1001")).await?;
    story.check("401", answer.status == StatusCode::UNAUTHORIZED);
    story.check("a credential is asked for", answer.header("www-authenticate") == "Bearer");
    story.check("the backend was not asked", story.hits() == 0);
    Ok(())
}

async fn no_account_is_told_apart(story: &mut Story<'_>) -> Result<(), Trouble> {
    let wrong =
        story.password("", "li.na", "not-her-password", "as li.na with a wrong password").await?;
    let unknown = story
        .password("", "li.nobody", "not-her-password", "as an account that does not exist")
        .await?;
    story.check("401", wrong.status == StatusCode::UNAUTHORIZED);
    story.check("both answers are equal to the byte", wrong.shape() == unknown.shape());
    Ok(())
}

async fn a_code_raises_the_session(story: &mut Story<'_>) -> Result<(), Trouble> {
    let password = password_of("li.na");
    let first = story.password("li.na", "li.na", password, "with her password").await?;
    story.check("assurance 1, a code is next", first.json().get("assurance") == Some(&json!(1)));
    story.copy_cookie("li.na", "her old cookie");
    let code = story.code_of("li.na")?;
    let second = story.code("li.na", &code, "with the code of her app").await?;
    story.check("assurance 2", second.json().get("assurance") == Some(&json!(2)));
    let old = story.ask(Ask::get("/.menshen/session").by("her old cookie")).await?;
    story.check("the cookie from before the code is dead", old.status == StatusCode::UNAUTHORIZED);
    Ok(())
}

async fn a_code_works_once(story: &mut Story<'_>) -> Result<(), Trouble> {
    const AGAIN: &str = "li.na elsewhere";
    story.stage.clock().advance_ms(30_000);
    story.password(AGAIN, "li.na", password_of("li.na"), "from another browser").await?;
    let code = story.code_of("li.na")?;
    let first = story.code(AGAIN, &code, "with the next code").await?;
    story.check("the code works", first.status == StatusCode::OK);
    let second = story.code(AGAIN, &code, "with the same code").await?;
    story.check("and then no more", second.status == StatusCode::UNAUTHORIZED);
    Ok(())
}
