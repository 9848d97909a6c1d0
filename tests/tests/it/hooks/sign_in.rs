//! Sign-ins of more than one step: who may take the next one.

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU32, sync::Arc};

use lanyard_engine::{NextStep, Rates, SignInAttempt, SignInRefused, SignedIn, Ticket};
use lanyard_policy::{Binding, Field, FieldKind, Secret, SignIn, Step};

use super::{script::Script, workshop::Workshop};

/// Others' noise costs a person time, and not their place in the sign-in.
#[tokio::test]
async fn who_is_throttled_keeps_the_ticket() {
    let asks = Step::Ask {
        fields: vec![Field {
            name: "code".to_owned(),
            label: "Code".to_owned(),
            kind: FieldKind::OneTimeCode,
        }],
        state: Vec::new(),
    };
    let directory = Arc::new(Script::<SignIn, Step>::new(Ok(asks)));
    let rates = Rates {
        per_name: NonZeroU32::new(2).unwrap(),
        per_address: NonZeroU32::new(4).unwrap(),
        ..Rates::default()
    };
    let workshop = Workshop::open_limited(vec![Binding::new("one", directory)], rates).await;
    let address = |last| IpAddr::from([192, 0, 2, last]);
    let begin = async |user_name: &str, remote| {
        let attempt = SignInAttempt {
            user_name: user_name.to_owned(),
            password: Secret::new("whatever"),
            remote,
            user_agent: None,
        };
        match workshop.engine.sign_in(attempt).await {
            Ok(SignedIn::Ask { ticket, .. }) => ticket,
            other => panic!("{other:?}"),
        }
    };
    let go_on = async |ticket: &Ticket, remote| {
        let step = NextStep {
            ticket: ticket.clone(),
            came_back_to: None,
            input: BTreeMap::new(),
            remote,
            user_agent: None,
        };
        workshop.engine.continue_sign_in(step).await.unwrap_err()
    };
    let is_throttled = |refused| matches!(refused, SignInRefused::TooMany { .. });

    let ticket = begin("ada", address(1)).await;
    begin("ada", address(1)).await;
    assert!(is_throttled(go_on(&ticket, address(1)).await), "by name");

    for name in ["b", "c", "d", "e"] {
        begin(name, address(2)).await;
    }
    assert!(is_throttled(go_on(&ticket, address(2)).await), "by address");
    let made_up = Ticket::new("made-up");
    assert!(
        is_throttled(go_on(&made_up, address(2)).await),
        "before anybody looks for the ticket"
    );

    let asked = go_on(&ticket, address(3)).await;
    assert!(
        matches!(asked, SignInRefused::Unavailable { .. }),
        "{asked}"
    );
    let over = go_on(&ticket, address(3)).await;
    assert!(matches!(over, SignInRefused::Over), "{over}");
}
