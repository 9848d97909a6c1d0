use lanyard_store::Occasion;

use crate::database::{at, authenticate, certificate, new_database};

/// Enrollments are found by the end of their current certificate, whatever others they had or others have.
#[tokio::test]
async fn identities_that_end_are_found_by_the_current_certificate() {
    let store = new_database().await;
    for (device, n) in [("A", 1), ("B", 2), ("C", 3)] {
        authenticate(&store, device, n, Occasion::FreshEnrollment).await;
    }
    let end = certificate(1).not_after;
    let found = |before, after, limit| {
        let store = &store;
        async move {
            let found = store.enrollments_ending(before, after, limit).await;
            let ids = found.unwrap().into_iter().map(|each| each.id);
            ids.collect::<Vec<_>>().join("")
        }
    };
    assert_eq!(found(at(0), None, 9).await, "");
    assert_eq!(found(end, None, 9).await, "ABC");
    assert_eq!(found(end, Some("A"), 1).await, "B");

    store.check_out("B", None, at(5)).await.unwrap();
    assert_eq!(found(end, None, 9).await, "AC");

    let keys = [certificate(1).fingerprint, "ff".repeat(32)];
    let ends = store
        .certificate_ends(keys.iter().map(String::as_str))
        .await;
    let ends = ends.unwrap();
    assert_eq!(ends.get(&keys[0]), Some(&end));
    assert_eq!(ends.len(), 1, "what is not on record has no end");
}
