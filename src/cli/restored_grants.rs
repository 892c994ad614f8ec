//! Grants on a state that was restored: nobody knows which were refused, taken back or used up since, so none opens
//! anything, and what waits is asked for anew.

use super::Failure;
use super::account::operator;
use crate::clock::Clock;
use crate::grant::{Counter, GrantError, State, Who};
use crate::secret::MasterKey;
use crate::state::Store;

/// Takes back every grant that somebody agreed to, or that waited, when the backup was made; says how many. What was
/// opened in an emergency still owes its review.
///
/// # Errors
/// [`Failure`]; those before it are taken back.
pub(super) async fn end_grants(
    store: &Store,
    master: &MasterKey,
    backup: &str,
) -> Result<usize, Failure> {
    let counter =
        Counter::new(store.clone(), master, Clock::system()).map_err(Failure::internal)?;
    let account = operator().0;
    let who = Who { person: account.clone(), account, roles: Vec::new() };
    let (reason, mut ended) = (format!("restored from {backup}"), 0);
    counter.tidy().await.map_err(Failure::internal)?;
    loop {
        // A list has an end; what was taken back is not in the next one. What cannot be read opens nothing.
        let listed = counter
            .list(None, &[State::Asked, State::Approved])
            .await
            .map_err(Failure::internal)?;
        let before = ended;
        for grant in listed.grants {
            match counter.revoke(&who, &grant.id, &reason).await {
                Ok(_) => ended += 1,
                // It ended by itself meanwhile.
                Err(GrantError::Step(_)) => {}
                Err(error) => return Err(Failure::internal(error)),
            }
        }
        if ended == before {
            return Ok(ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Ask, Emergency, Told};

    fn ask() -> Ask {
        Ask::read(|field| match field {
            "route" => "guest.scan",
            "action" => "view",
            "subjects" => "guest:G7",
            "reason" => "lost key card",
            _ => "",
        })
        .unwrap()
    }

    #[tokio::test]
    async fn what_somebody_agreed_to_or_asked_for_before_a_backup_opens_nothing_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let master = MasterKey::from_bytes([5; 32]);
        let store = Store::open(dir.path(), &master, Clock::system()).unwrap();
        let counter = Counter::new(store.clone(), &master, Clock::system()).unwrap();
        let who = |name: &str| Who {
            account: format!("corp:{name}"),
            person: name.to_owned(),
            roles: vec!["clerk".to_owned()],
        };
        let times = (600, 3600);
        counter.ask(&who("wu"), ask(), times, None).await.unwrap();
        let review_until_s = counter.now_s() + 86_400;
        let glass = Emergency { review_until_s, grade: 4, drill: false, told: Told::default() };
        for name in ["mei", "li"] {
            let open = counter.ask(&who(name), ask(), times, Some(glass)).await.unwrap();
            assert_eq!(open.state, State::Approved);
        }
        assert_eq!(end_grants(&store, &master, "gate-1-x").await.unwrap(), 3);
        let left = counter.list(None, &[State::Approved, State::Asked]).await.unwrap();
        assert!(left.grants.is_empty(), "{left:?}");
        let ended = counter.list(None, &[State::Revoked]).await.unwrap().grants;
        let owing = ended.iter().filter(|grant| grant.review_s().is_some());
        assert_eq!((ended.len(), owing.count()), (3, 2));
        assert_eq!(end_grants(&store, &master, "gate-1-x").await.unwrap(), 0);
    }
}
